/* The table of policies. */
/* A row is kept as long as its policy is there, so that a selection in it stays. */
function cell(row, name, label, className) {
	let found = row.cells_by_name[name];
	if (!found) {
		found = row.cells_by_name[name] = make('td', className);
		found.dataset.col = name;
		found.dataset.label = label;
		found.main = found.appendChild(make('span'));
		row.append(found);
	}
	return found;
}
function sub(parent, text) {
	parent.sub = parent.sub || parent.appendChild(make('span', 'sub'));
	put(parent.sub, text);
}
function newRow(policy) {
	const row = make('tr');
	row.dataset.policy = policy.policy;
	row.cells_by_name = {};
	row.head = row.appendChild(make('th', '', policy.policy));
	row.head.scope = 'row';
	return row;
}
function showDenied(row, policy) {
	const td = cell(row, 'denied', 'Denied', 'number');
	put(td.main, whole(policy.denied));
	td.main.className = policy.denied > 0 ? 'denied-some' : '';
	sub(td, policy.denied > 0 ? share(policy.denied, policy.checks) : '');
	if (!td.bar) {
		const bar = td.appendChild(make('span', 'share'));
		bar.setAttribute('aria-hidden', 'true');
		td.bar = bar.appendChild(make('span'));
	}
	td.bar.style.width = 100 * policy.denied / Math.max(1, policy.checks) + '%';
	td.bar.parentNode.hidden = policy.denied === 0;
}
/* `of` is the client whose key it is, or null when that can't be told: then there is no button. */
function showKey(td, key, of) {
	const kind = of ? 'button' : 'span';
	if (td.main.localName !== kind) {
		const main = kind === 'span' ? make(kind) : makeButton('', () => askFor(main.client));
		td.main.replaceWith(main);
		td.main = main;
	}
	td.main.client = of;
	td.main.className = 'key';
	put(td.main, key === undefined ? '–' : key === '' ? '(all together)' : key);
	td.main.title = of ? 'Look up ' + plain(key) : plain(key || '');
}
/* The key of a balance: values, or `=` and the value of the name `key`; what is escaped has a %. */
function clientOfKey(policy, text) {
	const known = policyNamed(policy);
	if (!known || text === undefined || text.includes('#')) return null;
	const isGiven = text.startsWith('=');
	const names = isGiven ? ['key'] : known.key;
	const values = isGiven ? [text.slice(1)] : names.length === 0 ? [] : text.split('|');
	if (values.length !== names.length) return null;
	try {
		return {policy, names: names.map((name, index) =>
			[name, decodeURIComponent(values[index].replace(/^\{(.*)\}$/, '$1'))])};
	} catch {
		return null; /* bytes that are no text */
	}
}
/* A policy that has just come has no rate yet. */
function showRates(row, name) {
	const find = status => status.policies.find(item => item.policy === name);
	const known = before && find(before);
	const rates = ['checks', 'denied'].map(field =>
		known ? perSecond(shown, status => find(status)[field]) : null);
	const td = cell(row, 'rate', 'Per s', 'number');
	put(td.main, rateOrNone(rates[0]));
	sub(td, rates[1] > 0 ? rate(rates[1]) + ' denied' : '');
}
function showPolicy(row, policy) {
	const number = (name, label, text) =>
		put(cell(row, name, label, 'number').main, text);

	const quota = cell(row, 'limit', 'Limit', 'wide');
	put(quota.main, limit(policy));
	sub(quota, (policy.algorithm || 'inline').replaceAll('_', ' '));
	showRates(row, policy.policy);
	number('checks', 'Checks', whole(policy.checks));
	showDenied(row, policy);
	number('shadow', 'Shadow', whole(policy.shadow_denied));
	number('errors', 'Errors', whole(policy.errors));
	const {mean, p99} = policy.latency_ms;
	number('latency', 'Latency, ms', policy.checks === 0 ? '–'
		: mean < 0.001 ? '<0.001' : mean.toFixed(3));
	sub(cell(row, 'latency'), policy.checks === 0 ? '' : 'p99 ≤ ' + p99);
	const hottest = policy.hottest;
	showKey(cell(row, 'hottest', 'Hottest key', 'wide apart'), hottest && hottest.key,
		hottest && clientOfKey(policy.policy, hottest.key));
	put(cell(row, 'remaining', 'Its remaining', 'number wide').main,
		hottest ? whole(hottest.remaining) : '–');
}
function showPolicies(now) {
	showPolicyNames(now.policies);
	const body = $('policy-rows'), rows = new Map();
	for (const row of body.rows) rows.set(row.dataset.policy, row);
	now.policies.forEach((policy, index) => {
		const row = rows.get(policy.policy) || newRow(policy);
		rows.delete(policy.policy);
		if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
		showPolicy(row, policy);
	});
	for (const row of rows.values()) row.remove();
}

/*
 * A client that is looked up: what its requests would get now and why (POST /explain), what it has
 * used of one policy (GET /balances), and the exceptions that name it. Nothing is charged for this.
 */
const FOUND_MAX = 20;      // exceptions that are shown of a client
let asked = null;          // {policy, names} of the last question: what a change is for
let questions = 0;         // an answer to an older question is not shown any more

const isAttribute = ([name]) => !RESERVED.includes(name);
const policyNamed = name => shown && shown.policies.find(item => item.policy === name && item.key);
/* By what a balance or an exception is named: of a policy its key, whatever else was typed. */
function keyNames({policy, names}) {
	const known = policyNamed(policy);
	return names.filter(([name]) => known ? name === 'key' || known.key.includes(name)
		: name !== 'cost');
}
function titleOf(of) {
	return (writeNames(of.names) || 'everybody') + (of.policy ? ' under ' + of.policy : '');
}
function askedFor() {
	const names = readNames($('look-names').value);
	if (typeof names === 'string') return names;
	const named = names.find(([name]) => name === 'policy');
	const policy = $('look-policy').value.trim() || (named ? named[1] : '');
	if (!policy && names.length === 0) return 'Type at least one attribute, or a policy.';
	return {policy, names: names.filter(([name]) => name !== 'policy')};
}
function requestOf({policy, names}) {
	const reserved = names.filter(pair => !isAttribute(pair));
	return {
		...policy && policy !== 'inline' && {policy}, ...Object.fromEntries(reserved),
		attributes: Object.fromEntries(names.filter(isAttribute)),
	};
}

/* ---- the answers ---- */

/* What a list file or a value of the policy file has to do with it. */
function fitText(fit) {
	const line = fit.file && fit.file + ', line ' + fit.line;
	return fit.place + (line || fit.value !== undefined ? ': ' + (line || fit.value) : '') +
		(fit.changed ? ' (of the file as the agent read it; it has changed since)' : '');
}
function fitsText(fits) {
	return fits && fits.length > 0 ? ' by ' + fits.map(fitText).join(' and ') : '';
}
function sayVerdict({verdict, exception, list}) {
	const role = !verdict.allowed ? ', by ' : verdict.reason === 'shadow'
		? ', would be denied by ' : ', least is left of ';
	const end = verdict.retry_after_ms > 0 ? '; again in ' + wait(verdict.retry_after_ms) : '';
	const text = (verdict.allowed ? 'Would be allowed: ' : 'Would be denied: ') + verdict.reason +
		(verdict.policy ? role + verdict.policy : '') + end + '.' +
		(exception ? ' Exception ' + exception.id + ' decided.' : '') +
		(list ? ' The policy file’s list ' + list.name + (list.shadow ? ' would deny it'
			: ' decided') + ': ' + list.name + '[' + list.entry + '] fits' +
			fitsText(list.fits) + '.' : '') +
		(verdict.degraded ? ' The store did not answer.' : '');
	sayOf('look-said', verdict.allowed ? 'is-good' : 'is-bad', text);
}
function resultOf(policy) {
	if (policy.skipped) return 'not looked at';
	if (policy.cached_denial) return 'denies (remembered)';
	if (policy.shadow) return policy.allowed ? 'allows (shadow)' : 'would deny (shadow)';
	if (policy.blocked) return 'blocks';
	return policy.allowed ? 'allows' : 'denies';
}
function termsOf(policy) {
	const fits = fitsText(policy.fits);
	if (policy.exception) return 'exception ' + policy.exception.id + fits;
	return (policy.override === undefined ? 'the policy’s' : 'overrides[' + policy.override + ']') +
		fits;
}
/* The policy's key of this client, when the request has all of its attributes. */
function narrowed(name, of) {
	const known = policyNamed(name);
	const key = known && known.key.map(part => of.names.find(pair => pair[0] === part));
	return key && key.every(Boolean) ? {policy: name, names: key} : null;
}
function showApplying(policies, of) {
	const rows = policies.map(policy => {
		const row = newRow(policy);
		const closer = !of.policy && narrowed(policy.policy, of);
		const number = (name, label, text) => put(cell(row, name, label, 'number').main, text);
		put(cell(row, 'result', 'Result').main, resultOf(policy));
		cell(row, 'result').main.className = policy.allowed === false ? 'denied-some' : '';
		number('limit', 'Limit', whole(policy.limit));
		number('left', 'Remaining', policy.remaining === undefined ? '–' : whole(policy.remaining));
		number('again', 'Again in', policy.retry_after_ms ? wait(policy.retry_after_ms) : '–');
		number('full', 'Full in', policy.reset_ms > 0 ? wait(policy.reset_ms) : '–');
		put(cell(row, 'terms', 'Terms', 'apart').main, termsOf(policy));
		const last = row.appendChild(make('td', 'act'));
		if (closer) last.append(makeButton('Only ' + policy.policy, () => askFor(closer)));
		return row;
	});
	$('applying-rows').replaceChildren(...rows);
	$('applying').hidden = rows.length === 0;
}
function showNotApplying(policies, leftOut) {
	$('other-rows').replaceChildren(...policies.map(policy => {
		const row = newRow(policy);
		put(cell(row, 'why', 'Why', 'wide').main, policy.why + fitsText(policy.fits));
		return row;
	}));
	$('others').hidden = policies.length === 0;
	$('others').open = policies.length === 1;
	put($('others-count'), whole(policies.length + leftOut) + (policies.length + leftOut === 1
		? ' policy does' : ' policies do') + ' not apply' +
		(leftOut > 0 ? ', ' + whole(leftOut) + ' of them are not listed' : ''));
}
function showExplained(answer, of) {
	for (const id of ['applying', 'others']) $(id).hidden = true;
	if (!answer) return sayOf('look-said', 'is-bad', 'The agent did not answer.');
	if (!answer.ok) return sayOf('look-said', 'is-bad', answer.json.detail);
	sayVerdict(answer.json);
	const policies = answer.json.policies.filter(item => !of.policy ||
		of.policy.split(',').some(name => name.trim() === item.policy));
	showApplying(policies.filter(item => item.applies), of);
	showNotApplying(policies.filter(item => !item.applies),
		of.policy ? 0 : answer.json.policies_left_out);
}
function showBalances(answer) {
	$('balances').hidden = !answer;
	if (!answer) return;
	const balances = answer.ok ? answer.json.balances : [];
	put($('balances-note'), !answer.ok ? answer.json.detail : (balances.length > 0 ? '' :
		'nothing is used; ') + 'of ' + answer.json.scope + (answer.json.stale
		? '; the store is away, and this is what this agent knows' : ''));
	$('balance-table').hidden = balances.length === 0;
	$('balance-rows').replaceChildren(...balances.map(balance => {
		const row = newRow({policy: balance.terms === 'policy' ? 'the policy’s' : balance.terms});
		const number = (name, label, text) => put(cell(row, name, label, 'number').main, text);
		number('limit', 'Limit', whole(balance.limit));
		number('used', 'Used', whole(balance.used));
		number('left', 'Remaining', whole(balance.remaining));
		number('full', 'Full in', wait(balance.reset_ms));
		showKey(cell(row, 'key', 'Key in the store', 'wide apart'), balance.key);
		return row;
	}));
}
/* The list is asked once for each attribute: an exception may name one of them, or several. */
function showFound(answers) {
	const found = new Map();
	for (const answer of answers)
		for (const exception of answer && answer.ok ? answer.json.exceptions : [])
			found.set(exception.id, exception);
	const rows = [...found.values()].slice(0, FOUND_MAX);
	$('found').hidden = rows.length === 0;
	showExceptionRows($('found-rows'), rows);
	put($('found-note'), found.size > FOUND_MAX ? whole(FOUND_MAX) + ' of ' + whole(found.size) : '');
}

/* ---- the question ---- */

async function look(of) {
	const question = ++questions, names = of.names.filter(isAttribute).slice(0, 8);
	const answers = await Promise.all([
		call('POST', 'explain', requestOf(of)),
		of.policy && call('GET', 'balances/' + encodeURIComponent(of.policy) + '?' +
			queryOf(keyNames(of))),
		...names.map(pair => call('GET', 'exceptions?' + queryOf([pair])))]);
	if (question !== questions) return;
	asked = of;
	put($('asked-title'), titleOf(of));
	put($('asked-when'), 'at ' + clock(Date.now()));
	$('asked').hidden = false;
	showExplained(answers[0], of);
	showBalances(answers[1]);
	showFound(answers.slice(2));
	showChangeForms();
}
/* Of a client that stands elsewhere on the page. */
async function askFor(of) {
	$('look-names').value = writeNames(of.names);
	$('look-policy').value = of.policy;
	showHint();
	await look(of);
	$('asked-title').focus();
}
function showHint() {
	const policy = $('look-policy').value.trim();
	const known = policyNamed(policy);
	put($('look-hint'), known ? known.key.length === 0 ? policy + ' counts everybody together.'
		: policy + ' counts by ' + known.key.join(', ') + '.'
		: 'With a policy: the attributes of its key. Without: those of a request. ' +
		'Nothing is charged.');
}
function showPolicyNames(policies) {
	const names = policies.filter(item => item.key).map(item => item.policy), list = $('policy-names');
	while (list.children.length > names.length) list.lastChild.remove();
	names.forEach((name, index) => {
		(list.children[index] || list.appendChild(make('option'))).value = name;
	});
}
$('look-form').addEventListener('submit', event => {
	event.preventDefault();
	const of = askedFor();
	if (typeof of === 'string') sayOf('look-said', 'is-bad', of);
	else look(of);
});
$('look-policy').addEventListener('input', showHint);

/* The keys that come most often. */
/* Without the error, which stays the same as long as the key keeps its place. */
function topRate(id, key) {
	const find = status => status.top[id].find(item => item.key === key.key &&
		item.policy === key.policy && item.error === key.error);
	return before && find(before) ? perSecond(shown, status => find(status).count) : null;
}
function showTop(id, keys) {
	const body = $('top-' + id);
	while (body.rows.length > keys.length) body.lastChild.remove();
	keys.forEach((key, index) => {
		const row = body.rows[index] || body.appendChild(make('tr'));
		row.cells_by_name = row.cells_by_name || {};
		showKey(cell(row, 'key'), key.key, clientOfKey(key.policy, key.key));
		sub(cell(row, 'key'), key.policy);
		const count = cell(row, 'count', '', 'number');
		put(count.main, counted(key));
		const now = topRate(id, key);
		sub(count, now > 0 ? rate(now) + ' per s' : '');
		count.title = key.error > 0 ? 'at most ' + whole(key.count) : '';
		put(cell(row, 'remaining', '', 'number').main, whole(key.remaining));
	});
	$('no-' + id).hidden = keys.length > 0;
}

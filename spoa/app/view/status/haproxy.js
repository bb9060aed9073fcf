/* What HAProxy sends. */
function whenAsked(now) {
	if (now.spop.notifies > 0)
		return 'asked last ' + duration((now.now_ms - now.spop.last_notify_ms) / 1000) + ' ago';
	return now.spop.healthchecks > 0 ? 'HAProxy checks this agent and has never asked'
		: 'HAProxy has never asked';
}
function showAttributes(now) {
	const body = $('attribute-rows'), {attributes} = now.spop;
	put($('haproxy-asked'), whenAsked(now));
	while (body.rows.length > attributes.length) body.lastChild.remove();
	attributes.forEach((attribute, index) => {
		const row = body.rows[index] || body.appendChild(make('tr'));
		row.cells_by_name = row.cells_by_name || {};
		showKey(cell(row, 'name'), attribute.name);
		put(cell(row, 'times', '', 'number').main, whole(attribute.times));
		put(cell(row, 'absent', '', 'number').main, attribute.absent > 0
			? whole(attribute.absent) + ', ' + share(attribute.absent, attribute.times) : '–');
	});
	const notes = [];
	if (now.spop.attributes_left_out) notes.push('More attributes came than are shown.');
	if (now.spop.slower_than_50_ms > 0) notes.push(whole(now.spop.slower_than_50_ms) +
		' answers took longer than 50 ms, for which HAProxy waits unless you changed it.');
	if (now.spop.ended_owing > 0) notes.push(whole(now.spop.ended_owing) +
		' connections ended with answers owed.');
	put($('haproxy-note'), notes.join(' '));
}

/* The tiles at the top, the store, and the policy file. */
/* `of` finds the counter in an answer; there is no rate without the answer before. */
function perSecond(now, of) {
	const seconds = before ? (now.now_ms - before.now_ms) / 1000 : 0;
	return seconds > 0.2 ? Math.max(0, of(now) - of(before)) / seconds : null;
}
const rateOrNone = number => number === null ? '–' : rate(number);
/* The first answer has a history already. */
function showRate(id, now, of, steps) {
	const found = perSecond(now, of);
	const last = steps.length > 0 ? steps[steps.length - 1] / now.history.step_s : null;
	put($(id), rateOrNone(found === null ? last : found));
}
function showTiles(now) {
	put($('version'), now.version);
	put($('uptime'), duration(now.uptime_s));
	put($('pid'), now.pid);
	put($('whose'), 'The counts and keys here are of the agent at ' + location.host + ' alone. ' +
		(now.store.agents > 1 ? whole(now.store.agents) + ' agents share its store; ' +
		'each has a page of its own.' : 'Each agent has a page of its own.'));
	showRate('allowed-rate', now, status => status.totals.allowed, now.history.allowed);
	showRate('denied-rate', now, status => status.totals.blocked, now.history.blocked);
	const all = now.totals.allowed + now.totals.blocked;
	put($('allowed-total'), whole(now.totals.allowed));
	put($('denied-total'), whole(now.totals.blocked) + ' in all, ' +
		share(now.totals.blocked, all));
	put($('in-flight'), whole(now.in_flight));
	put($('spop-connections'), whole(now.connections.spop));
	put($('http-connections'), whole(now.connections.http));
}
function showStore(now) {
	const up = now.store.state !== 'down';
	$('store').className = 'value word state ' + (up ? 'is-good' : 'is-bad');
	put($('store-state'), now.store.state);
	put($('store-url'), now.store.url);
	$('store-down').hidden = up;
	put($('store-reason'), now.store.reason + '. Checks are decided by on_error.');
	$('draining').hidden = !now.draining;
	$('shadow-all').hidden = !now.shadow_all;
}
function showLoad(now) {
	const load = now.load;
	const lists = load.allow + load.block > 0 ? ', matches in allow: ' + whole(load.allow) +
		', in block: ' + whole(load.block) : '';
	put($('load'), whole(load.policies) + ' policies' + lists + ', loaded ' +
		new Date(load.loaded_ms).toLocaleString('en-GB') + ' (generation ' +
		whole(load.generation) + (load.errors > 0 ? ', failed reloads: ' +
		whole(load.errors) : '') + ').');
	$('reload-failed').hidden = !load.last_failed;
	put($('reload-reason'), load.reason);
	put($('policies-note'), now.policies_left_out > 0 ? 'the ' + now.policies.length +
		' most used; ' + whole(now.policies_left_out) + ' more are left out' : '');
	$('no-policies').hidden = now.policies.length > 0;
}

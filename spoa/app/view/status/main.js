/* Asks the agent again and again, and shows what it answers. */
function show(now) {
	const last = shown;
	now.at = Date.now();
	shown = now;
	/* A rate over a gap, or over a restart, would be none. */
	before = last && last.started_ms === now.started_ms && last.pid === now.pid ? last : null;
	showTiles(now);
	showStore(now);
	showLoad(now);
	showChart(now.history);
	showPolicies(now);
	showAttributes(now);
	showTop('denied', now.top.denied);
	showTop('seen', now.top.seen);
	sayLive();
}
async function ask() {
	const stop = new AbortController();
	const patience = setTimeout(() => stop.abort(), PATIENCE_MS);
	try {
		const answer = await fetch('status', {
			cache: 'no-store', signal: stop.signal,
			headers: token ? {Authorization: 'Bearer ' + token} : {},
		});
		if (answer.status === 401) askForToken();
		else if (answer.status === 403) say('refused', 'is-bad',
			'only over loopback, or with a token (--http-token-file)');
		else if (answer.ok) show(await answer.json());
		else sayLost();
	} catch (error) {
		if (!(error instanceof TypeError || error.name === 'AbortError' ||
			error instanceof SyntaxError)) console.error(error);
		sayLost();
	} finally {
		clearTimeout(patience);
	}
}
async function tick() {
	clearTimeout(timer);
	if (!document.hidden) await ask();
	clearTimeout(timer); /* there may have been two at once */
	timer = setTimeout(tick, PERIOD_MS);
}
$('token-form').addEventListener('submit', event => {
	event.preventDefault();
	token = $('token-input').value.trim();
	sessionStorage.setItem('token', token);
	$('token-input').value = '';
	tick();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) tick(); });
tick();

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
	showChangeForms();
	sayLive();
}
async function ask() {
	const answer = await call('GET', 'status');
	if (answer && answer.status === 401) askForToken();
	else if (answer && [403, 421].includes(answer.status))
		say('refused', 'is-bad', answer.json.detail);
	else if (answer && answer.ok) show(answer.json);
	else sayLost();
}
async function tick() {
	clearTimeout(timer);
	try {
		if (!document.hidden) {
			await ask();
			listExceptionsInTime();
		}
	} catch (error) {
		console.error(error);
		sayLost();
	}
	clearTimeout(timer); /* there may have been two at once */
	timer = setTimeout(tick, PERIOD_MS);
}
$('token-form').addEventListener('submit', event => {
	event.preventDefault();
	$('token-wrong').hidden = takeToken($('token-input'));
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) tick(); });
tick();

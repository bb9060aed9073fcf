/* What is asked of the agent, whether it answers, and the token that it may want. */
const PERIOD_MS = 2000, PATIENCE_MS = 5000;
const STORE_PATIENCE_MS = 15000; /* the agent may wait for its store before it answers */
let token = '';            // in this memory alone: who opens the page again has to type it again
let shown = null;          // the last answer
let before = null;         // and the one before it, of the same run of the agent
let lostAt = null;         // when it was last reached, while it is not
let timer = 0;

/* Null: the agent does not answer, or not as an agent does. A problem has its text in `detail`. */
async function call(method, path, body) {
	const stop = new AbortController();
	const patience = setTimeout(() => stop.abort(), path === 'status' ? PATIENCE_MS
		: STORE_PATIENCE_MS);
	const headers = token ? {Authorization: 'Bearer ' + token} : {};
	if (body) headers['Content-Type'] = 'application/json';
	try {
		const answer = await fetch(path, {method, headers, cache: 'no-store',
			signal: stop.signal, body: body && JSON.stringify(body)});
		return {status: answer.status, ok: answer.ok, json: await answer.json()};
	} catch {
		return null;
	} finally {
		clearTimeout(patience);
	}
}
function say(state, look, text) {
	$('state').dataset.state = state;
	$('state').className = 'state ' + look;
	put($('state-text'), text);
	document.body.className = {live: '', lost: 'is-stale', token: 'is-closed',
		refused: 'is-closed'}[state];
	if (state !== 'token') $('token').hidden = true;
}
function sayLive() {
	lostAt = null;
	say('live', 'is-good', 'live');
}
function sayLost() {
	lostAt = lostAt || (shown ? shown.at : Date.now());
	say('lost', 'is-bad', 'not reachable since ' + clock(lostAt));
}
function askForToken() {
	if ($('token').hidden) {
		$('token').hidden = false;
		$('token-input').focus();
	}
	$('token-wrong').hidden = token === '';
	say('token', 'is-warn', 'needs a token');
}
/* A header can't have other characters. Returns whether it is taken. */
function takeToken(input) {
	const typed = input.value.trim();
	input.value = '';
	if (!/^[!-~]+$/.test(typed)) return false;
	token = typed;
	tick();
	return true;
}

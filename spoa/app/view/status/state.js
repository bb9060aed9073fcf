/* Whether the agent answers, and the token that it may ask for. */
const PERIOD_MS = 2000, PATIENCE_MS = 5000;
let token = sessionStorage.getItem('token') || '';
let shown = null;          // the last answer
let before = null;         // and the one before it, of the same run of the agent
let lostAt = null;         // when it was last reached, while it is not
let timer = 0;

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

/*
 * The buttons that block a client, allow it for a time, or reset its balances. They change the
 * client whose answer is on the page, even if another one has been typed into the field since.
 * Without a token the page shows no buttons.
 */
let isChanging = false;    // the second click of two is left out

function sayOf(id, look, text) {
	$(id).className = look;
	put($(id), text);
}
const reach = scope => scope === 'this agent' ? ' on this agent alone'
	: ' on all agents of its store';

/* Returns whether it was done. `done` says what it was, in the element `said`. */
async function change(method, path, body, done, said = 'change-said') {
	if (isChanging) return false;
	isChanging = true;
	const answer = await call(method, path, body);
	isChanging = false;
	if (answer && answer.ok) sayOf(said, 'is-good', done(answer.json));
	else sayOf(said, 'is-bad', answer ? 'Not done: ' + answer.json.detail
		: 'The agent did not answer, so it may have changed or not. Look again.');
	await Promise.all([asked && look(asked), listExceptions()]);
	return Boolean(answer && answer.ok);
}
function except(what) {
	const body = {...what, for: $('change-for').value.trim()};
	if ($('change-note').value) body.note = $('change-note').value;
	if ($('change-wide').checked) body.wide = true;
	const path = 'exceptions' + (asked.policy ? '/' + encodeURIComponent(asked.policy) : '');
	change('PUT', path + '?' + queryOf(keyNames(asked)), body, answer =>
		(answer.blocked ? 'Blocked: ' : 'Not checked: ') + clientOf(answer) +
		(answer.policy === null ? '' : ' under ' + answer.policy) + ', until ' +
		date(answer.until) + reach(answer.scope) + (answer.overruled_by.length > 0
		? '. It is overruled by: ' + answer.overruled_by.join(', ') : '') + '.');
}
function reset() {
	const title = titleOf({policy: asked.policy, names: keyNames(asked)});
	change('DELETE', 'balances/' + encodeURIComponent(asked.policy) + '?' +
		queryOf(keyNames(asked)), null, answer =>
		'Full again: ' + title + ', ' + whole(answer.reset) +
		(answer.reset === 1 ? ' balance' : ' balances') + reach(answer.scope) + '.');
}
function showChangeForms() {
	$('admin-form').hidden = token !== '';
	$('change-form').hidden = token === '' || !asked;
	$('token-kept').hidden = token === '';
	$('reset').hidden = !asked || !asked.policy;
	for (const button of document.querySelectorAll('button.remove')) button.hidden = token === '';
}
$('admin-form').addEventListener('submit', event => {
	event.preventDefault();
	if (!takeToken($('admin-token')))
		return sayOf('change-said', 'is-bad', 'This can’t be a token.');
	sayOf('change-said', '', 'The token is used from now on.');
	showChangeForms();
	$(asked ? 'change-for' : 'look-names').focus();
});
$('forget').addEventListener('click', () => {
	token = '';
	showChangeForms();
	sayOf('change-said', '', 'The token is forgotten.');
	$('admin-token').focus();
	tick();
});
/* Enter in a field is no decision. */
$('change-form').addEventListener('submit', event => event.preventDefault());
$('block').addEventListener('click', () => except({blocked: true}));
$('allow').addEventListener('click', () => except({unlimited: true}));
$('reset').addEventListener('click', reset);

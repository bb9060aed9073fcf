/* The exceptions that operators have made, with their ends. */
const EXCEPTIONS_PERIOD_MS = 10000;
let exceptionsAt = 0;      // when they were asked for
let exceptionsAfter = '';  // an id: where the part that is shown begins

function whatOf(exception) {
	if (exception.blocked) return 'blocked';
	if (exception.unlimited) return 'not checked';
	return ['limit', 'capacity', 'refill_rate'].filter(name => exception[name] !== undefined)
		.map(name => name + ' ' + exception[name]).join(', ');
}
/* By the agent's clock, or as near as is known. */
function leftOf(exception) {
	const now = shown ? shown.now_ms + Date.now() - shown.at : Date.now();
	const left = new Date(exception.until) - now;
	return left > 0 ? duration(Math.ceil(left / 1000)) + ' left' : 'over';
}
function clientOf(exception) {
	return writeNames(Object.entries(exception.names)) || 'everybody';
}
/* The focus goes to the next one, or to the title. */
async function removeException(row) {
	const {exception} = row;
	const next = row.nextElementSibling || row.previousElementSibling;
	const isDone = await change('DELETE', 'exceptions?' + queryOf([['id', exception.id]]), null,
		() => 'Removed: ' + whatOf(exception) + ' for ' + clientOf(exception) + '.',
		row.closest('#exceptions') ? 'exceptions-said' : 'change-said');
	if (isDone && !row.isConnected)
		(next && next.isConnected ? next.removeButton : $('exceptions-title')).focus();
}
function newExceptionRow(exception) {
	const row = newRow({policy: clientOf(exception)});
	row.head.className = 'key';
	row.dataset.id = exception.id;
	return row;
}
function showException(row, exception) {
	const under = exception.policy === null ? 'any policy' : exception.policy;
	put(row.head, clientOf(exception));
	put(cell(row, 'policy', 'Policy').main, under);
	put(cell(row, 'what', 'What').main, whatOf(exception));
	sub(cell(row, 'what'), (exception.hashed ? 'the values are hashed ' : '') + (exception.void
		? 'no effect: the policy is gone, or is another one' : ''));
	put(cell(row, 'until', 'Until').main, exception.until ? date(exception.until) : 'for ever');
	sub(cell(row, 'until'), exception.until ? leftOf(exception) : '');
	put(cell(row, 'who', 'Set by').main, exception.who);
	sub(cell(row, 'who'), date(exception.when));
	put(cell(row, 'note', 'Note', 'wide note').main, exception.note || '–');
	if (!row.removeButton) {
		row.removeButton = makeButton('Remove', () => removeException(row));
		row.removeButton.classList.add('remove');
		row.appendChild(make('td', 'act')).append(row.removeButton);
	}
	row.exception = exception;
	row.removeButton.setAttribute('aria-label', plain('Remove: ' + whatOf(exception) + ', ' +
		clientOf(exception) + ', ' + under));
	row.removeButton.hidden = token === '';
}
/* A row is kept as long as its exception is there, and so is the focus in it. */
function showExceptionRows(body, exceptions) {
	const ids = new Set(exceptions.map(exception => exception.id)), rows = new Map();
	for (const row of [...body.rows])
		if (ids.has(row.dataset.id)) rows.set(row.dataset.id, row);
		else row.remove();
	exceptions.forEach((exception, index) => {
		const row = rows.get(exception.id) || newExceptionRow(exception);
		if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
		showException(row, exception);
	});
}
async function listExceptions() {
	exceptionsAt = Date.now();
	const answer = await call('GET', 'exceptions' + (exceptionsAfter &&
		'?' + queryOf([['after', exceptionsAfter]])));
	if (!answer || !answer.ok) return;
	const {exceptions, count, next, scope, stale} = answer.json;
	showExceptionRows($('exception-rows'), exceptions);
	$('exception-table').hidden = exceptions.length === 0;
	$('no-exceptions').hidden = exceptions.length > 0;
	put($('exceptions-note'), (count > 0 ? whole(count) + ', ' : '') + 'of ' + scope + (stale
		? '; the store is away, and this is what this agent knows' : ''));
	$('exceptions-next').hidden = !next;
	$('exceptions-first').hidden = exceptionsAfter === '';
	$('exceptions-next').dataset.after = next || '';
}
function listExceptionsInTime() {
	if (Date.now() - exceptionsAt >= EXCEPTIONS_PERIOD_MS && $('state').dataset.state === 'live')
		listExceptions();
}
function goTo(after) {
	exceptionsAfter = after;
	$('exceptions-title').focus();
	listExceptions();
}
$('exceptions-next').addEventListener('click', () => goTo($('exceptions-next').dataset.after));
$('exceptions-first').addEventListener('click', () => goTo(''));

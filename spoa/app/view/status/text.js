/* How texts and numbers are written. Whatever comes from the agent is text, never markup. */
'use strict';
const $ = id => document.getElementById(id);

/* Characters that are not seen, or that move the text around them, stand as \x1b or \u202e. */
function plain(text) {
	return String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, character => {
		const code = character.codePointAt(0).toString(16);
		return code.length <= 2 ? '\\x' + code.padStart(2, '0') :
			code.length <= 4 ? '\\u' + code.padStart(4, '0') : '\\u{' + code + '}';
	});
}
function put(element, text) {
	const shown = plain(text);
	if (element.textContent !== shown) element.textContent = shown;
}
function make(name, className, text) {
	const element = document.createElement(name);
	if (className) element.className = className;
	if (text !== undefined) put(element, text);
	return element;
}
/* A button in a form sends it, unless it says that it does not. */
function makeButton(text, onclick) {
	const button = make('button', 'small', text);
	button.type = 'button';
	button.addEventListener('click', onclick);
	return button;
}
/* Shortens a number for the labels of the axis: 50,000 becomes 50k. */
function brief(number) {
	const [divisor, unit] = number >= 1e6 ? [1e6, 'M'] : number >= 1e4 ? [1e3, 'k'] : [1, ''];
	return whole(+(number / divisor).toPrecision(3)) + unit;
}
const whole = number => number.toLocaleString('en-US');
function rate(number) {
	return number > 0 && number < 9.95 ? number.toFixed(1) : whole(Math.round(number));
}
function share(part, all) {
	const percent = all > 0 ? 100 * part / all : 0;
	if (percent > 0 && percent < 0.1) return '<0.1 %';
	if (percent > 99.9 && percent < 100) return '>99.9 %';
	return percent.toFixed(percent < 10 || percent > 99 && percent < 100 ? 1 : 0) + ' %';
}
function duration(seconds) {
	const s = Math.floor(seconds);
	if (s < 60) return s + ' s';
	if (s < 3600) return Math.floor(s / 60) + ' min ' + s % 60 + ' s';
	if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
	return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
}
/* A wait is rounded up: who comes back then is not early. */
function wait(ms) {
	if (ms < 0) return 'never';
	if (ms < 1000) return whole(ms) + ' ms';
	return ms < 10000 ? Math.ceil(ms / 100) / 10 + ' s' : duration(Math.ceil(ms / 1000));
}
const clock = ms => new Date(ms).toLocaleTimeString('en-GB');
const date = text => new Date(text).toLocaleString('en-GB');
function span(seconds) {
	for (const [unit, length] of [['d', 86400], ['h', 3600], ['min', 60]])
		if (seconds >= length && seconds % length === 0)
			return seconds === length ? unit : seconds / length + ' ' + unit;
	return seconds === 1 ? 's' : seconds < 1 ? seconds * 1000 + ' ms' : seconds + ' s';
}
/* As a person would say it: 1 token every 20 ms are 50 a second. */
function limit(policy) {
	if (policy.limit === undefined) return 'as each request says';
	if (policy.window_s !== undefined)
		return whole(policy.limit) + ' per ' + span(policy.window_s);
	for (const [unit, length] of [['s', 1], ['min', 60], ['h', 3600], ['d', 86400]]) {
		const refill = policy.refill_tokens * length / policy.refill_s;
		if (refill >= 1 || unit === 'd')
			return whole(policy.limit) + ', +' + whole(+refill.toPrecision(4)) + ' per ' + unit;
	}
}
/* The sketch knows a count to be at least count - error. */
function counted(key) {
	return (key.error > 0 ? '≥ ' : '') + whole(key.count - key.error);
}

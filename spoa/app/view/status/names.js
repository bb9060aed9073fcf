/*
 * The attributes of a client, as a person types them:
 *
 *     path=/login user="a \"b\" \x1b"
 *
 * In quotes a backslash takes the next character as it is, and \x1b, \u202e and \u{1f642} are
 * characters by their numbers. So what the page shows can be typed.
 */
const RESERVED = ['policy', 'key', 'cost', 'algorithm', 'capacity', 'refill_rate', 'limit',
	'window'];

function unescaped(text) {
	const escapes = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\}|(.))/gisu;
	return text.replace(escapes, (all, two, four, many, character) => {
		const code = parseInt(two || four || many, 16);
		return character || (code <= 0x10ffff ? String.fromCodePoint(code) : all);
	});
}
/* Returns pairs of name and value, or the text of what is wrong. */
function readNames(text) {
	const word = /\s*([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*))(?=\s|$)/yu;
	const pairs = [];
	while (text.slice(word.lastIndex).trim() !== '') {
		const found = word.exec(text);
		if (!found) return 'Write name=value, with spaces between them, and quotes around a ' +
			'value that has spaces: user="a b".';
		const value = found[2] === undefined ? found[3] : unescaped(found[2]);
		if (/\p{Cs}/u.test(found[1] + value)) return found[1] + ': half a character.';
		if (pairs.some(([name]) => name === found[1])) return found[1] + ' is there twice.';
		pairs.push([found[1], value]);
	}
	return pairs;
}
function writeNames(pairs) {
	return pairs.map(([name, value]) => name + '=' + (/[\s"\\]/.test(value) ||
		plain(value) !== value ? '"' + plain(value.replace(/["\\]/g, '\\$&')) + '"' : value))
		.join(' ');
}
const queryOf = pairs => pairs.map(pair => pair.map(encodeURIComponent).join('=')).join('&');

/* Requests per second over the last minutes. */
const SVG = 'http://www.w3.org/2000/svg';
let picture = null;        // what the pointer reads
let isLog = false;         // log(1 + requests), so that one spike does not flatten the rest
const LEFT = 52, RIGHT = 8, TOP = 8, BOTTOM = 22;

function draw(name, attributes, text) {
	const element = document.createElementNS(SVG, name);
	for (const key in attributes) element.setAttribute(key, attributes[key]);
	if (text !== undefined) element.textContent = text;
	return $('chart').appendChild(element);
}
/* 1, 2 or 5 times a power of ten. */
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 5, 10].find(step => step * power >= value * 0.9999) * power;
}
function readHistory(history) {
	const step = history.step_s, points = [];
	for (let i = 0; i < history.allowed.length; i++)
		points.push({
			ms: history.end_ms - (history.allowed.length - 1 - i) * step * 1000,
			allowed: history.allowed[i] / step, denied: history.blocked[i] / step,
		});
	return points;
}
/* Denied requests stand on top of the allowed ones; on a log scale, where sums mean nothing, both
 * are lines of their own. */
function scale(points) {
	const most = Math.max(1, ...points.map(point => isLog
		? Math.max(point.allowed, point.denied) : point.allowed + point.denied));
	const tick = roundUp(most / 4), top = Math.ceil(most / tick) * tick;
	if (!isLog)
		return {top, share: value => value / top,
			ticks: Array.from({length: Math.round(top / tick) + 1}, (_, i) => i * tick)};
	const powers = Math.ceil(Math.log10(most)) || 1;
	const ticks = Array.from({length: powers + 1}, (_, i) => 10 ** i), highest = 10 ** powers;
	return {top: highest, ticks: [0, ...ticks],
		share: value => Math.log10(1 + value) / Math.log10(1 + highest)};
}
function frame(width, height, history, points) {
	const {ticks, share: part} = scale(points);
	const all = history.steps_max * history.step_s * 1000;
	return {
		points, ticks, all, width, height,
		x: ms => LEFT + (width - LEFT - RIGHT) * (1 - (history.end_ms - ms) / all),
		y: value => height - BOTTOM - (height - TOP - BOTTOM) * part(value),
	};
}
function drawGrid(at) {
	for (const value of at.ticks) {
		const y = Math.round(at.y(value)) + 0.5;
		draw('line', {class: 'grid', x1: LEFT, x2: at.width - RIGHT, y1: y, y2: y});
		draw('text', {x: LEFT - 8, y: y + 4, 'text-anchor': 'end'},
			brief(value));
	}
	const minutes = Math.floor(at.all / 60000), right = at.width - RIGHT;
	for (let i = 0; i <= minutes; i += at.width < 480 ? 2 : 1) {
		const x = right - (right - LEFT) * i * 60000 / at.all;
		draw('text', {x, y: at.height - 5,
			'text-anchor': i === 0 ? 'end' : i === minutes ? 'start' : 'middle'},
			i === 0 ? 'now' : '−' + i + ' min');
	}
}
/* Between two of the sums 0, allowed, allowed + denied; on a log scale the upper line alone. */
function drawArea(at, name, low, high) {
	const line = of => at.points.map(point =>
		at.x(point.ms).toFixed(1) + ',' + at.y(of(point)).toFixed(1));
	if (!isLog)
		draw('polygon', {class: name, points: line(high).concat(line(low).reverse()).join(' ')});
	draw('polyline', {class: name + '-line', points: line(high).join(' ')});
}
function describe(points) {
	if (points.length === 0) return 'no data yet';
	const last = points[points.length - 1];
	const most = of => rate(Math.max(...points.map(of)));
	return 'Requests per second over the last 5 minutes' + (isLog ? ', on a log scale' : '') +
		'. Now ' + rate(last.allowed) +
		' allowed and ' + rate(last.denied) + ' denied; at most ' +
		most(point => point.allowed) + ' allowed and ' + most(point => point.denied) +
		' denied.';
}
function showChart(history) {
	const svg = $('chart'), points = readHistory(history);
	const width = svg.clientWidth, height = svg.clientHeight;
	const at = picture = frame(width, height, history, points);
	svg.replaceChildren();
	svg.setAttribute('viewBox', '0 0 ' + width + ' ' + height);
	svg.setAttribute('aria-label', describe(points));
	svg.dataset.points = points.length;
	drawGrid(at);
	if (points.length > 1) {
		const sum = isLog ? point => point.denied : point => point.allowed + point.denied;
		if (points.some(point => point.denied > 0))
			drawArea(at, 'denied', point => point.allowed, sum);
		drawArea(at, 'allowed', () => 0, point => point.allowed);
	}
	at.pointer = draw('line', {class: 'pointer', y1: TOP, y2: height - BOTTOM,
		visibility: 'hidden'});
	point();
}
let pointerX = null;
function nearestPoint() {
	const far = item => Math.abs(picture.x(item.ms) - pointerX);
	if (!picture || pointerX === null) return null;
	return picture.points.reduce((best, item) =>
		best && far(best) <= far(item) ? best : item, null);
}
/* Reads the picture where the pointer is. */
function point() {
	const at = picture, nearest = nearestPoint();
	put($('readout'), nearest ? clock(nearest.ms) + ': ' + rate(nearest.allowed) + ' allowed, ' +
		rate(nearest.denied) + ' denied' : 'the last 5 minutes');
	if (!at) return;
	at.pointer.setAttribute('visibility', nearest ? 'visible' : 'hidden');
	if (nearest)
		for (const name of ['x1', 'x2']) at.pointer.setAttribute(name, at.x(nearest.ms));
}
function readAt(event) {
	pointerX = event.clientX - $('chart').getBoundingClientRect().left;
	point();
}
$('chart').addEventListener('pointermove', readAt);
$('chart').addEventListener('pointerdown', readAt);
$('chart').addEventListener('pointerleave', () => { pointerX = null; point(); });
$('log-scale').addEventListener('click', () => {
	isLog = !isLog;
	$('log-scale').setAttribute('aria-pressed', isLog);
	put($('denied-where'), isLog ? 'denied' : 'denied, on top');
	if (shown) showChart(shown.history);
});
/* With the arrow keys as with a pointer. */
$('chart').addEventListener('keydown', event => {
	const step = {ArrowLeft: -1, ArrowRight: 1}[event.key], {points, x} = picture || {};
	if (!step || !points || points.length === 0) return;
	event.preventDefault();
	const now = pointerX === null ? points.length : points.indexOf(nearestPoint());
	pointerX = x(points[Math.min(points.length - 1, Math.max(0, now + step))].ms);
	point();
});
$('chart').addEventListener('blur', () => { pointerX = null; point(); });
window.addEventListener('resize', () => { if (shown) showChart(shown.history); });

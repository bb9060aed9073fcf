/* Requests per second over the last minutes. */
const SVG = 'http://www.w3.org/2000/svg';
let picture = null;        // what the pointer reads
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
function frame(width, height, history, points) {
	const most = Math.max(1, ...points.map(point => point.allowed + point.denied));
	const tick = roundUp(most / 4), top = Math.ceil(most / tick) * tick;
	const all = history.steps_max * history.step_s * 1000;
	return {
		points, top, tick, all, width, height,
		x: ms => LEFT + (width - LEFT - RIGHT) * (1 - (history.end_ms - ms) / all),
		y: value => height - BOTTOM - (height - TOP - BOTTOM) * value / top,
	};
}
function drawGrid(at) {
	for (let value = 0; value <= at.top * 1.0001; value += at.tick) {
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
/* Between two of the sums 0, allowed, allowed + denied. */
function drawArea(at, name, low, high) {
	const line = of => at.points.map(point =>
		at.x(point.ms).toFixed(1) + ',' + at.y(of(point)).toFixed(1));
	draw('polygon', {class: name, points: line(high).concat(line(low).reverse()).join(' ')});
	draw('polyline', {class: name + '-line', points: line(high).join(' ')});
}
function describe(points) {
	if (points.length === 0) return 'no data yet';
	const last = points[points.length - 1];
	const most = of => rate(Math.max(...points.map(of)));
	return 'Requests per second over the last 5 minutes. Now ' + rate(last.allowed) +
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
		if (points.some(point => point.denied > 0))
			drawArea(at, 'denied', point => point.allowed, point => point.allowed + point.denied);
		drawArea(at, 'allowed', () => 0, point => point.allowed);
	}
	at.pointer = draw('line', {class: 'pointer', y1: TOP, y2: height - BOTTOM,
		visibility: 'hidden'});
	point();
}
let pointerX = null;
/* Reads the picture where the pointer is. */
function point() {
	const at = picture;
	let nearest = null;
	if (at && pointerX !== null)
		for (const item of at.points)
			if (!nearest || Math.abs(at.x(item.ms) - pointerX) <
					Math.abs(at.x(nearest.ms) - pointerX)) nearest = item;
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
window.addEventListener('resize', () => { if (shown) showChart(shown.history); });

import { useComputedColorScheme } from '@mantine/core';
import { useReducedMotion } from '@mantine/hooks';
import { BarController, BarElement, Chart, LinearScale } from 'chart.js';
import { useEffect, useRef, useState } from 'react';
import type { Overview, Point } from '../api/overview';
import { spanFilter, spanWords, timeMarks } from './plot-times';
import { decided, type Series, shareWords } from './series';

/** How much room a mark of the axis of time takes, in pixels. */
const MARK_PX = 64;
/** Below this, what is there would not be seen, in pixels. */
const LEAST_PX = 2;
/** To how many messages the axis goes at least. */
const LEAST_MOST = 4;
/** Which share of what is above the line is below it at least, once there is something. */
const LEAST_BELOW = 0.06;
const GROW_MS = 250;
/** How far what is told of a point is from it, in pixels. */
const APART_PX = 12;

const COMPACT = new Intl.NumberFormat(undefined, { notation: 'compact' });

type BarChart = Chart<'bar', { x: number; y: number | null }[]>;

/**
 * The plot. What is told of a point is written over it in the page's own words, for a pointer and for the arrow keys.
 * @param props.series what is drawn
 * @param props.onOpen told from when until when, once somebody wants to look into a point
 */
export default function PlotCanvas({
  overview,
  series,
  onOpen,
}: {
  overview: Overview;
  series: readonly Series[];
  onOpen: (span: { after: string; before: string }) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const chart = useRef<BarChart>(null);
  const drawn = useRef('');
  const scheme = useComputedColorScheme();
  const isStill = useReducedMotion(undefined, { getInitialValueInEffect: false });
  const [at, setAt] = useState<{ index: number; isByKey: boolean } | null>(null);
  const last = overview.points.length - 1;
  const index = at === null ? null : Math.min(at.index, last);

  useEffect(() => {
    Chart.register(BarController, BarElement, LinearScale);
    const made: BarChart = new Chart(canvas.current!, {
      type: 'bar',
      data: { datasets: [] },
      options: { responsive: true, maintainAspectRatio: false, events: [] },
    });
    chart.current = made;
    return () => made.destroy();
  }, []);

  // The colours are those of the scheme
  useEffect(() => {
    const made = chart.current!;
    draw(made, overview, series);
    // What moves whenever it is asked for again cannot be read.
    const isNew = drawn.current !== overview.range;
    drawn.current = overview.range;
    made.options.animation = isStill || !isNew ? false : { duration: GROW_MS };
    made.update();
  }, [overview, series, scheme, isStill]);

  /** The point under a pointer. */
  function indexAt(event: React.PointerEvent): number | null {
    const { scales, chartArea } = chart.current!;
    const x = event.clientX - canvas.current!.getBoundingClientRect().left;
    if (x < chartArea.left || x > chartArea.right) return null;
    const found = Math.round(scales.x!.getValueForPixel(x) ?? 0);
    return Math.min(Math.max(found, 0), last);
  }

  function moveByKey(event: React.KeyboardEvent): void {
    const from = index ?? last;
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      setAt({ index: Math.min(Math.max(to, 0), last), isByKey: true });
    } else if (event.key === 'Escape') setAt(null);
    else if (event.key === 'Enter' && index !== null) open(index);
  }

  function open(which: number): void {
    if (overview.points[which]!.throttled > 0) onOpen(spanFilter(overview, which));
  }

  return (
    <section
      className="plot-canvas"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys go from point to point
      tabIndex={0}
      aria-label="Plot: the arrow keys go from point to point, Enter shows what was throttled then"
      data-opens={index !== null && overview.points[index]!.throttled > 0}
      onKeyDown={moveByKey}
      onFocus={(event) => {
        if (event.currentTarget.matches(':focus-visible')) setAt({ index: last, isByKey: true });
      }}
      onBlur={() => setAt(null)}
      onPointerDown={(event) => {
        const found = indexAt(event);
        setAt(found === null ? null : { index: found, isByKey: false });
      }}
      onPointerMove={(event) => {
        const found = indexAt(event);
        if (found !== index) setAt(found === null ? null : { index: found, isByKey: false });
      }}
      onPointerLeave={(event) => {
        if (event.pointerType === 'mouse') setAt(null);
      }}
      onClick={(event) => {
        // A finger asks what there is; it has nothing else to ask with.
        const isMouse = (event.nativeEvent as PointerEvent).pointerType === 'mouse';
        if (isMouse && index !== null) open(index);
      }}
    >
      <canvas ref={canvas} role="img" aria-label={summaryOf(overview)} />
      {index !== null && chart.current && <PointNote chart={chart.current} overview={overview} index={index} />}
      <div className="sr-only" role="status">
        {index !== null && at?.isByKey && pointWords(overview, index)}
      </div>
    </section>
  );
}

/** How high the bars of a point are together. */
function heightOf(point: Point, series: readonly Series[]): number {
  return series.reduce((sum, { outcome, isBelow }) => sum + (isBelow ? 0 : point[outcome]), 0);
}

/** Gives a chart what it draws. */
function draw(chart: BarChart, overview: Overview, series: readonly Series[]): void {
  const { points } = overview;
  const style = getComputedStyle(chart.canvas);
  const colorOf = (name: string) => style.getPropertyValue(name).trim();
  const font = { family: style.fontFamily, size: 12 };
  const isShown = (outcome: string) => series.some((one) => one.outcome === outcome);
  const mostFailed = isShown('failed') ? Math.max(...points.map(({ failed }) => failed)) : 0;
  const highest = Math.max(LEAST_MOST, ...points.map((point) => heightOf(point, series)));
  const starts = points.map(({ start }) => Date.parse(start));
  let words = new Map<number, string>();
  chart.data.datasets = series.map(({ outcome, label, isBelow }) => ({
    label,
    data: points.map((point, x) => ({
      x,
      y: point[outcome] === 0 ? null : isBelow ? -point[outcome] : point[outcome],
    })),
    parsing: false,
    backgroundColor: colorOf(`--outcome-${outcome}`),
    minBarLength: LEAST_PX,
    barPercentage: 0.86,
    categoryPercentage: 1,
  }));
  chart.options.scales = {
    x: {
      type: 'linear',
      stacked: true,
      offset: false,
      min: -0.5,
      max: points.length - 0.5,
      border: { display: false },
      grid: { color: colorOf('--plot-grid'), offset: false },
      ticks: {
        color: colorOf('--plot-words'),
        font,
        autoSkip: false,
        maxRotation: 0,
        callback: (value) => words.get(Number(value)) ?? '',
      },
      afterBuildTicks(axis) {
        const marks = timeMarks(starts, Math.max(2, Math.floor(axis.chart.width / MARK_PX)));
        words = new Map(marks.map((mark) => [mark.index, mark.words]));
        axis.ticks = marks.map((mark) => ({ value: mark.index }));
      },
    },
    y: {
      stacked: true,
      suggestedMax: LEAST_MOST,
      // A whole step for few would be a lot of nothing.
      min: mostFailed === 0 ? 0 : -Math.max(mostFailed, highest * LEAST_BELOW),
      border: { display: false },
      grid: { color: (context) => colorOf(context.tick?.value === 0 ? '--plot-line' : '--plot-grid') },
      ticks: {
        color: colorOf('--plot-words'),
        font,
        precision: 0,
        includeBounds: false,
        maxTicksLimit: 7,
        callback: (value) => COMPACT.format(Math.abs(Number(value))),
      },
    },
  };
}

/** What is told of a point, beside it. */
function PointNote({ chart, overview, index }: { chart: BarChart; overview: Overview; index: number }) {
  const { scales, chartArea, width } = chart;
  const [left, right] = [scales.x!.getPixelForValue(index - 0.5), scales.x!.getPixelForValue(index + 0.5)];
  const isLeft = (left + right) / 2 > width / 2;
  const side = isLeft ? { right: width - left + APART_PX } : { left: right + APART_PX };
  const point = overview.points[index]!;
  return (
    <>
      <div
        className="plot-band"
        style={{ left, width: right - left, top: chartArea.top, height: chartArea.bottom - chartArea.top }}
      />
      <div className="plot-note" style={side} aria-hidden>
        <b>{spanWords(overview, index)}</b>
        <table>
          <tbody>
            {rowsOf(overview, index).map(({ outcome, label, words }) => (
              <tr key={label} data-outcome={outcome}>
                <td>{outcome !== undefined && <span className="swatch" />}</td>
                <td>{label}</td>
                <td>{words}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {point.throttled > 0 && <span className="plot-note-hint">Click to see the throttled ones</span>}
      </div>
    </>
  );
}

function rowsOf({ points, totals }: Overview, index: number) {
  const point = points[index]!;
  const rows: { outcome?: string; label: string; words: string }[] = [
    { outcome: 'accepted', label: 'Accepted', words: point.accepted.toLocaleString() },
    { outcome: 'throttled', label: 'Throttled', words: point.throttled.toLocaleString() },
  ];
  if (totals.filtered > 0)
    rows.push({ outcome: 'filtered', label: 'Filtered', words: point.filtered.toLocaleString() });
  rows.push({ outcome: 'failed', label: 'Failed', words: point.failed.toLocaleString() });
  rows.push({ label: 'Share throttled', words: shareWords(point.throttled, decided(point)) });
  if (point.degraded > 0) rows.push({ label: 'Without Redis', words: point.degraded.toLocaleString() });
  return rows;
}

function pointWords(overview: Overview, index: number): string {
  const rows = rowsOf(overview, index).map(({ label, words }) => `${label} ${words}`);
  return `${spanWords(overview, index)}: ${rows.join(', ')}`;
}

function summaryOf({ points, totals }: Overview): string {
  const { accepted, throttled, failed } = totals;
  const words = `${accepted.toLocaleString()} accepted, ${throttled.toLocaleString()} throttled, ${failed.toLocaleString()} failed`;
  return `Bars over time, ${points.length} of them: ${words}. “As a table” shows the numbers.`;
}

import { Link } from '@tanstack/react-router';
import type { Overview } from '../api/overview';
import { spanFilter, spanWords } from './plot-times';
import type { Series } from './series';

/** The numbers of the plot, the newest first. */
export default function PlotTable({ overview, series }: { overview: Overview; series: readonly Series[] }) {
  const { points, totals } = overview;
  const columns = [
    ...series,
    ...(totals.degraded > 0 ? [{ outcome: 'degraded', label: 'Without Redis' } as const] : []),
  ];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
    <section className="plot-table" tabIndex={0} aria-label="Messages over time">
      <table className="numbers">
        <thead>
          <tr>
            <th scope="col">Time</th>
            {columns.map(({ outcome, label }) => (
              <th key={outcome} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {points
            .map((point, index) => (
              <tr key={point.start}>
                <th scope="row">
                  <time dateTime={point.start}>{spanWords(overview, index)}</time>
                </th>
                {columns.map(({ outcome }) => (
                  <td key={outcome}>
                    {outcome === 'throttled' && point.throttled > 0 ? (
                      <Link to="/logs" search={{ status: 'THROTTLED', ...spanFilter(overview, index) }}>
                        {point.throttled.toLocaleString()}
                      </Link>
                    ) : (
                      point[outcome].toLocaleString()
                    )}
                  </td>
                ))}
              </tr>
            ))
            .reverse()}
        </tbody>
      </table>
    </section>
  );
}

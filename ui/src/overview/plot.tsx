import { Button, Group, Skeleton, Title } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import type { Outcome, Overview } from '../api/overview';
import { stepWords } from './plot-times';
import { SERIES, seriesOf } from './series';

/** Loaded beside the view, which can be read without. */
const loadCanvas = () => import('./plot-canvas');
const PlotCanvas = lazy(loadCanvas);
const PlotTable = lazy(() => import('./plot-table'));

const PLACEHOLDER = <Skeleton className="plot-waiting" animate={false} />;

/** What was decided and delivered over time: as a plot, or as the numbers it is made of. */
export function Plot({ overview }: { overview: Overview | undefined }) {
  const navigate = useNavigate();
  const [isTable, setTable] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<Outcome>>(new Set());
  const series =
    overview === undefined ? SERIES.filter(({ outcome }) => outcome !== 'filtered') : seriesOf(overview.totals);
  const shown = series.filter(({ outcome }) => !hidden.has(outcome));
  const toggle = (outcome: Outcome) => {
    const others = new Set(hidden);
    if (!others.delete(outcome)) others.add(outcome);
    setHidden(others);
  };
  // While the numbers are asked for; what fails then is told by whoever draws it
  useEffect(() => {
    loadCanvas().catch(() => undefined);
  }, []);
  return (
    <section className="card plot" aria-labelledby="over-time">
      <Group justify="space-between">
        <Title order={2} size="h5" id="over-time">
          Messages{overview && `, by the ${stepWords(overview.step_seconds)}`}
        </Title>
        <Button
          size="compact-xs"
          variant={isTable ? 'light' : 'default'}
          aria-pressed={isTable}
          onClick={() => setTable(!isTable)}
        >
          As a table
        </Button>
      </Group>
      <fieldset className="plot-legend" aria-label="What is shown">
        {series.map(({ outcome, label, icon: Icon, isBelow }) => (
          <button
            key={outcome}
            type="button"
            className="plot-legend-item"
            data-outcome={outcome}
            aria-pressed={!hidden.has(outcome)}
            onClick={() => toggle(outcome)}
          >
            <span className="swatch" aria-hidden />
            <Icon size={14} aria-hidden />
            {label}
            {isBelow && !isTable && <span className="plot-legend-note">below the line</span>}
          </button>
        ))}
      </fieldset>
      <div className="plot-body">
        <Suspense fallback={PLACEHOLDER}>
          {overview === undefined ? (
            PLACEHOLDER
          ) : isTable ? (
            <PlotTable overview={overview} series={shown} />
          ) : (
            <PlotCanvas
              overview={overview}
              series={shown}
              onOpen={(span) => void navigate({ to: '/logs', search: { status: 'THROTTLED', ...span } })}
            />
          )}
        </Suspense>
      </div>
    </section>
  );
}

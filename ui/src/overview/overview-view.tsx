import './overview.css';
import { SegmentedControl, Stack, Text, Title } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { fetchOverview, OUTCOMES, type Overview, RANGES, type Range } from '../api/overview';
import { againAfterMs, LIVE_MS } from '../frame/queries';
import { Trouble, Waiting } from '../frame/trouble';
import { BROWSER_ZONE, Instant } from '../show/instant';
import { Plot } from './plot';
import { QueueHealth } from './queue-health';
import { Quiet } from './quiet';
import { RedisHealth } from './redis-health';
import { TopLists } from './top-lists';
import { Totals } from './totals';

const route = getRouteApi('/overview');

const RANGE_LABELS: Record<Range, string> = { hour: 'Hour', day: 'Day', week: 'Week' };
/** How often it is looked for the first message, in milliseconds: somebody is trying it out. */
const QUIET_MS = 2_000;

/** What is seen first: how much was decided and delivered, who is throttled most, and whether all is well. */
export function OverviewView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const range = RANGES.find((one) => one === search.range) ?? 'hour';
  const query = useQuery({
    queryKey: ['overview', range],
    queryFn: ({ signal }) => fetchOverview(range, signal),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state: { data, error } }) =>
      againAfterMs(error, data !== undefined && isQuiet(data) ? QUIET_MS : LIVE_MS),
  });
  const { data: overview, error } = query;

  return (
    <div className="page overview">
      <div className="page-head">
        <Stack gap={0}>
          <Title order={1} size="h2">
            Overview
          </Title>
          {overview === undefined && error === null ? (
            <Waiting lines={0} />
          ) : (
            <Text size="sm" c="dimmed" mih={20}>
              {overview !== undefined && (
                <>
                  Since <Instant at={overview.start} />
                  {error !== null && (
                    <>
                      , as it was at <Instant at={overview.end} withDay={false} />
                    </>
                  )}
                  .{' '}
                </>
              )}
              Times are those of {BROWSER_ZONE}.
            </Text>
          )}
        </Stack>
        <SegmentedControl
          aria-label="How far back"
          value={range}
          data={RANGES.map((value) => ({ value, label: RANGE_LABELS[value] }))}
          onChange={(value) => void navigate({ search: { range: value } })}
        />
      </div>
      <Trouble error={error} onRetry={() => void query.refetch()} />
      <div
        className="overview-body"
        aria-busy={query.isPlaceholderData}
        data-old={query.isPlaceholderData || undefined}
      >
        {overview === undefined && error !== null ? (
          <RedisHealth overview={undefined} />
        ) : (
          <>
            <Totals overview={overview} />
            <div className="overview-main">
              {overview !== undefined && isQuiet(overview) ? (
                <Quiet range={overview.range} />
              ) : (
                <Plot overview={overview} />
              )}
              <div className="overview-beside">
                <RedisHealth overview={overview} />
                <QueueHealth queue={overview?.queue} isOld={error !== null} />
              </div>
            </div>
            {(overview === undefined || overview.totals.throttled > 0) && <TopLists overview={overview} />}
          </>
        )}
      </div>
    </div>
  );
}

function isQuiet({ totals }: Overview): boolean {
  return OUTCOMES.every((outcome) => totals[outcome] === 0);
}

import { Skeleton, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type Overview, TOP_KINDS, type TopEntry, type TopKind } from '../api/overview';
import { Foreign } from '../show/foreign';
import { shareWords } from './series';

const TITLES: Record<TopKind, string> = { users: 'Users', accounts: 'Accounts', topics: 'Topics', limits: 'Limits' };
const NONE_WORDS: Record<TopKind, string> = {
  users: 'No user.',
  accounts: 'No throttled message named an account.',
  topics: 'No throttled message named a topic.',
  limits: 'No limit.',
};
/** How many lines are held free. */
const WAITING_LINES = 5;

/** Whose messages were throttled most, and by which limits. */
export function TopLists({ overview }: { overview: Overview | undefined }) {
  return (
    <section aria-labelledby="most-throttled" className="overview-part">
      <Title order={2} size="h4" id="most-throttled">
        Most throttled
      </Title>
      <div className="tops">
        {TOP_KINDS.map((kind) => (
          <section className="card" key={kind} aria-labelledby={`most-throttled-${kind}`}>
            <Title order={3} size="h5" id={`most-throttled-${kind}`}>
              {TITLES[kind]}
            </Title>
            {overview === undefined ? (
              Array.from({ length: WAITING_LINES }, (_, line) => (
                // Nothing tells them apart
                <Skeleton key={line} height="1.5rem" />
              ))
            ) : (
              <TopList kind={kind} entries={overview.top[kind]} whole={overview.totals.throttled} />
            )}
          </section>
        ))}
      </div>
    </section>
  );
}

/** @param props.whole how many messages were throttled in all */
function TopList({ kind, entries, whole }: { kind: TopKind; entries: readonly TopEntry[]; whole: number }) {
  if (entries.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {NONE_WORDS[kind]}
      </Text>
    );
  }
  return (
    <ol className="top">
      {entries.map(({ id, throttled }) => (
        <li key={id}>
          <div className="top-line">
            <EntryLink kind={kind} id={id} />
            <span className="top-count">
              {throttled.toLocaleString()} <span className="top-share">{shareWords(throttled, whole)}</span>
            </span>
          </div>
          <div className="top-bar" aria-hidden>
            <div style={{ width: `${Math.min(100, (100 * throttled) / Math.max(1, whole))}%` }} />
          </div>
        </li>
      ))}
    </ol>
  );
}

function EntryLink({ kind, id }: { kind: TopKind; id: string }) {
  const name = <Foreign text={id} />;
  if (kind === 'limits') {
    return (
      <Link to="/limits" search={{ edit: id }}>
        {name}
      </Link>
    );
  }
  const filter = { users: { recipient: id }, accounts: { account: id }, topics: { topic: id } }[kind];
  return (
    <Link to="/logs" search={{ status: 'THROTTLED', ...filter }}>
      {name}
    </Link>
  );
}

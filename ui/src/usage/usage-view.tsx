import { Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { CallError } from '../api/call';
import { DIMENSIONS, type Dimension, type LimitUsage } from '../api/limits';
import { fetchUsage, type UsageOf } from '../api/usage';
import { live } from '../frame/queries';
import { useMay } from '../frame/session';
import { Answered } from '../frame/trouble';
import { FilterField } from '../show/filter-field';
import { Instant } from '../show/instant';
import { ViewLink } from '../show/view-link';
import { LimitCard } from './limit-card';
import { ResetConfirm } from './reset-confirm';
import { ThrottledLately } from './throttled-lately';
import { Verdict } from './verdict';

const route = getRouteApi('/usage');

const FIELDS = [
  { dimension: 'user', label: 'User', placeholder: 'Whom it is to' },
  { dimension: 'account', label: 'Account', placeholder: 'On whose behalf' },
  { dimension: 'topic', label: 'Topic', placeholder: 'What it is about' },
  { dimension: 'channel', label: 'Channel', placeholder: 'email, sms, push…' },
] as const;

/** How the API calls them. */
const API_NAMES: Record<Dimension, string> = {
  user: 'user_id',
  account: 'account_id',
  topic: 'topic_id',
  channel: 'channel',
};

/** How much of every limit that applies to somebody is used. */
export function UsageView() {
  const of: UsageOf = route.useSearch();
  const navigate = route.useNavigate();
  const isAsked = DIMENSIONS.some((dimension) => of[dimension] !== undefined);
  const query = useQuery({
    queryKey: ['usage', of],
    queryFn: ({ signal }) => fetchUsage(of, signal),
    enabled: isAsked,
    ...live,
  });
  const mayReset = useMay('admin');
  const [asked, setAsked] = useState<LimitUsage | null>(null);

  const refused = fieldErrors(query.error);
  const error = refused === null ? query.error : null;
  const logs = logsOf(of);
  return (
    <div className="page">
      <Stack gap={0}>
        <Title order={1} size="h2">
          Usage
        </Title>
        <Text size="sm" c="dimmed">
          Every limit that applies to a message, and how much of it is used. Looking counts nothing.
        </Text>
      </Stack>
      <SimpleGrid component="search" cols={{ base: 1, xs: 2, lg: 4 }} spacing="sm">
        {FIELDS.map(({ dimension, label, placeholder }) => (
          <FilterField
            key={dimension}
            label={label}
            placeholder={placeholder}
            value={of[dimension]}
            error={refused?.[dimension]}
            onFilter={(value) => void navigate({ search: (old) => ({ ...old, [dimension]: value }) })}
          />
        ))}
      </SimpleGrid>
      {!isAsked && <ThrottledLately />}
      {isAsked && refused === null && (
        <Answered query={{ ...query, error }} lines={5}>
          {(limits) => (
            <>
              <Verdict of={of} limits={limits} />
              <Group justify="space-between" gap="xs">
                <Group gap="md">
                  {logs !== null && (
                    <ViewLink size="sm" to="/logs" search={logs}>
                      Their messages in the logs
                    </ViewLink>
                  )}
                  {of.user !== undefined && (
                    <ViewLink size="sm" to="/members" search={{ user: of.user }}>
                      The user’s accounts
                    </ViewLink>
                  )}
                  {of.account !== undefined && (
                    <ViewLink size="sm" to="/members" search={{ account: of.account }}>
                      The account’s users
                    </ViewLink>
                  )}
                </Group>
                <Text size="xs" c="dimmed">
                  As of <Instant at={query.dataUpdatedAt} withDay={false} />, again every 10 seconds
                </Text>
              </Group>
              <SimpleGrid component="ul" cols={{ base: 1, lg: 2 }} spacing="md" p={0} m={0}>
                {limits.map((usage) => (
                  <LimitCard
                    key={usage.limit_id}
                    of={of}
                    usage={usage}
                    onReset={mayReset ? () => setAsked(usage) : undefined}
                  />
                ))}
              </SimpleGrid>
              <NotShown of={of} />
            </>
          )}
        </Answered>
      )}
      <ResetConfirm of={of} asked={asked} limits={query.data ?? []} onClose={() => setAsked(null)} />
    </div>
  );
}

/** What does not apply for want of knowing more. */
function NotShown({ of }: { of: UsageOf }) {
  const missing = FIELDS.filter(({ dimension }) => of[dimension] === undefined).map(({ dimension }) => dimension);
  if (missing.length === 0) return null;
  const words = missing.length === 1 ? missing[0] : `${missing.slice(0, -1).join(', ')} or ${missing.at(-1)}`;
  return (
    <Text size="sm" c="dimmed">
      Limits that count by {words}, and overrides for one, apply to messages that have{' '}
      {missing.length === 1 ? 'it' : 'them'}: give {missing.length === 1 ? 'it' : 'one'} above to see them.
    </Text>
  );
}

/** What is wrong with which field; null when it is none of these. */
function fieldErrors(error: unknown): UsageOf | null {
  if (!(error instanceof CallError)) return null;
  const found: UsageOf = {};
  for (const { path, message } of error.errors) {
    const dimension = DIMENSIONS.find((one) => API_NAMES[one] === path);
    if (dimension !== undefined) found[dimension] = message;
  }
  return Object.keys(found).length === 0 ? null : found;
}

/** The filters of the logs for the same; null when they have none for it. */
function logsOf({ user, account, topic }: UsageOf) {
  if (user === undefined && account === undefined && topic === undefined) return null;
  return {
    ...(user === undefined ? {} : { recipient: user }),
    ...(account === undefined ? {} : { account }),
    ...(topic === undefined ? {} : { topic }),
  };
}

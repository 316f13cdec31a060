import { Button, CopyButton, Group, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { fetchOverview, type Range } from '../api/overview';
import { useMay, useSession } from '../frame/session';
import { decided } from './series';

/** When there is nothing to see: what was before, and when there was nothing either, what to begin with. */
export function Quiet({ range }: { range: Range }) {
  const week = useQuery({
    queryKey: ['overview', 'week'],
    queryFn: ({ signal }) => fetchOverview('week', signal),
    enabled: range !== 'week',
  });
  const before = range === 'week' ? 0 : week.data && decided(week.data.totals);
  return (
    <section className="card quiet" aria-labelledby="quiet">
      <Title order={2} size="h4" id="quiet">
        Nothing was decided in the last {range}
      </Title>
      {before === 0 && <FirstCheck />}
      {before !== undefined && before > 0 && (
        <Text size="sm">
          In the last week it was {before.toLocaleString()} {before === 1 ? 'message' : 'messages'}.{' '}
          <Link to="/overview" search={{ range: 'week' }}>
            Look at the week
          </Link>
        </Text>
      )}
    </section>
  );
}

function FirstCheck() {
  const session = useSession();
  const mayChange = useMay('admin');
  const command = checkCommand(session.actor.id === 'local');
  return (
    <>
      <Text size="sm">Ask whether a message may go out. The answer is counted here within seconds.</Text>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <pre className="raw" tabIndex={0}>
        {command}
      </pre>
      <Group gap="sm">
        <CopyButton value={command}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
        {mayChange && (
          <Button renderRoot={(props) => <Link to="/limits" search={{ add: 'new' }} {...props} />}>
            Make your first limit
          </Button>
        )}
      </Group>
    </>
  );
}

/** What asks this Sendgate, from a shell. @param isOpen whether it takes calls without a key */
function checkCommand(isOpen: boolean): string {
  return [
    `curl ${new URL('check', document.baseURI).href}`,
    ...(isOpen ? [] : ['-H "Authorization: Bearer $SENDGATE_API_KEY"']),
    `-H 'Content-Type: application/json' -d '{"user_id": "ann"}'`,
  ].join(' \\\n  ');
}

import { Button, Group, Paper, Stack, Text, TextInput, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useMemo, useRef, useState } from 'react';
import { type AlertsPage, testAlerts } from '../api/alerts';
import { CallError } from '../api/call';
import { ALERT_TYPES, changeSettings, type Settings } from '../api/settings';
import { useMay } from '../frame/session';
import { Trouble } from '../frame/trouble';
import { useUnsaved } from '../frame/unsaved';
import { useDraft } from '../settings/draft';
import { Overtaken } from '../settings/overtaken';
import { visible } from '../show/foreign';
import { testWords } from './alert-words';
import { type AlertFields, changesOf, fieldsOf, problemsOf, type WebhookDraft } from './webhook-draft';
import { LastWords, WebhookFields } from './webhook-fields';

const LABELS: Record<keyof AlertFields, string> = { alert_thresholds: 'Alerts at', alert_webhooks: 'Webhooks' };

/** Who is told, and when: to be changed, and tried. */
export function AlertSettings({ settings, page }: { settings: Settings; page: AlertsPage | undefined }) {
  const queries = useQueryClient();
  const mayChange = useMay('admin');
  const present = useMemo(() => fieldsOf(settings), [settings]);
  const draft = useDraft<AlertFields>(present);
  const { values, changes, isDirty } = draft;
  const { question } = useUnsaved(isDirty);
  const added = useRef(0);
  const [isTried, setTried] = useState(false);

  const saving = useMutation({
    mutationFn: (changed: Partial<AlertFields>) => changeSettings(changesOf(changed)),
    onSuccess(saved) {
      queries.setQueryData(['settings'], saved);
      draft.drop();
      setTried(false);
      void queries.invalidateQueries({ queryKey: ['alerts'] });
      notifications.show({ color: 'teal', message: 'Saved. It is in force for the next alert.' });
    },
  });
  const testing = useMutation({
    mutationFn: testAlerts,
    onSettled: () => queries.invalidateQueries({ queryKey: ['alerts'] }),
  });

  const problems = problemsOf(values);
  // What was refused, as long as the same stands there.
  const isAsSent = JSON.stringify(saving.variables) === JSON.stringify(changes);
  const refused = isAsSent && saving.error instanceof CallError ? saving.error.errors : [];
  const errorOf = (field: string): string | undefined => {
    // What is not there yet is only asked for once somebody has tried to save.
    if (problems[field] !== undefined && (field === 'alert_thresholds' || isTried)) {
      return problems[field];
    }
    return refused.find(({ path }) => path === field || path.startsWith(`${field}.`))?.message;
  };
  const isWrong = Object.keys(problems).length > 0;
  const isBeside =
    refused.length > 0 && refused.every(({ path }) => /^alert_(thresholds|webhooks\.\d+\.\w+)/.test(path));

  const setWebhooks = (webhooks: WebhookDraft[]) => draft.set('alert_webhooks', webhooks);
  const lastOf = (url: string) => page?.webhooks.find((one) => one.url === url)?.last_result ?? null;
  const testButton = (label: string, webhook: string | null) =>
    mayChange && (
      <Button
        variant="default"
        size="compact-sm"
        disabled={isDirty || testing.isPending}
        loading={testing.isPending && testing.variables === webhook}
        title={isDirty ? 'Save first: what is tested is what is in force.' : undefined}
        onClick={() => testing.mutate(webhook)}
      >
        {label}
      </Button>
    );

  return (
    <form
      aria-label="Who is told of alerts"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (mayChange && isDirty && !isWrong && !saving.isPending) saving.mutate(changes);
      }}
    >
      <Stack gap="md">
        {!mayChange && (
          <Text size="sm">You see who is told. To change it, sign in with a key that has the role admin.</Text>
        )}
        <div>
          <TextInput
            label={LABELS.alert_thresholds}
            description="Percent of a limit’s maximum, such as 80, 100; “none” for no such alerts. A limit may have its own."
            autoComplete="off"
            maw="24rem"
            disabled={!mayChange}
            error={errorOf('alert_thresholds')}
            value={values.alert_thresholds}
            onChange={(event) => draft.set('alert_thresholds', event.currentTarget.value)}
          />
          <Overtaken
            isOvertaken={draft.isOvertaken('alert_thresholds')}
            theirs={present.alert_thresholds}
            onTake={() => draft.drop('alert_thresholds')}
          />
        </div>
        <Title order={3} size="h5">
          Webhooks
        </Title>
        {values.alert_webhooks.length === 0 && (
          <Text size="sm" c="dimmed">
            No webhook is told.
          </Text>
        )}
        {values.alert_webhooks.map((webhook, index) => (
          <WebhookFields
            key={webhook.key}
            index={index}
            webhook={webhook}
            last={lastOf(webhook.url)}
            isDisabled={!mayChange}
            errorOf={errorOf}
            onChange={(changed) =>
              setWebhooks(values.alert_webhooks.map((one) => (one.key === webhook.key ? changed : one)))
            }
            onRemove={() => setWebhooks(values.alert_webhooks.filter((one) => one.key !== webhook.key))}
            action={webhook.fingerprint !== null && testButton('Send test', webhook.url)}
          />
        ))}
        <Overtaken
          isOvertaken={draft.isOvertaken('alert_webhooks')}
          theirs={present.alert_webhooks.map(({ url }) => url).join(', ') || 'none'}
          onTake={() => draft.drop('alert_webhooks')}
        />
        {mayChange && (
          <Group>
            <Button
              variant="default"
              onClick={() => {
                added.current += 1;
                const events = [...ALERT_TYPES];
                const key = `new-${added.current}`;
                setWebhooks([...values.alert_webhooks, { key, url: '', secret: '', fingerprint: null, events }]);
              }}
            >
              Add a webhook
            </Button>
          </Group>
        )}
        <Title order={3} size="h5">
          Mail
        </Title>
        {page?.mail.configured ? (
          <>
            <Text size="sm" className="foreign">
              To {page.mail.to.map(visible).join(', ')}: at most one mail about a limit in 24 hours, with a count of
              what has happened since the last.
            </Text>
            <LastWords last={page.mail.last_result} />
          </>
        ) : (
          <Text size="sm" c="dimmed">
            No mail is configured. It is where Sendgate is started: SENDGATE_SMTP_URL, SENDGATE_ALERT_MAIL_FROM and
            SENDGATE_ALERT_MAIL_TO.
          </Text>
        )}
        {(settings.alert_webhooks.length > 0 || page?.mail.configured) && (
          <Group>{testButton('Send a test to all', null)}</Group>
        )}
        <div role="status">
          {testing.data?.map((result) => (
            <Text size="sm" key={result.url ?? 'mail'} className="foreign">
              {result.delivered ? '✓' : '✗'} {result.url === null ? 'Mail' : visible(result.url)}:{' '}
              {visible(testWords(result))}
            </Text>
          ))}
        </div>
        <Trouble error={testing.error} />
        {isDirty && (
          <Paper withBorder shadow="md" p="sm" pos="sticky" bottom={8} style={{ zIndex: 2 }}>
            <Stack gap="xs">
              {!isBeside && isAsSent && <Trouble error={saving.error} />}
              <Group justify="space-between" gap="sm">
                <Text size="sm" role="status" flex={1} miw="12rem">
                  Not saved: {(Object.keys(changes) as (keyof AlertFields)[]).map((name) => LABELS[name]).join(', ')}
                </Text>
                <Group gap="xs" wrap="nowrap">
                  <Button variant="default" onClick={() => draft.drop()} disabled={saving.isPending}>
                    Discard
                  </Button>
                  <Button type="submit" loading={saving.isPending}>
                    Save
                  </Button>
                </Group>
              </Group>
            </Stack>
          </Paper>
        )}
      </Stack>
      {question}
    </form>
  );
}

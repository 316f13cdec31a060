import { Button, Checkbox, CopyButton, Group, Paper, Stack, Text, TextInput } from '@mantine/core';
import type { LastResult } from '../api/alerts';
import { ALERT_TYPES, type AlertType } from '../api/settings';
import { visible } from '../show/foreign';
import { Instant } from '../show/instant';
import { stateWords, TYPE_WORDS } from './alert-words';
import { newSecret, type WebhookDraft } from './webhook-draft';

/** One webhook: where it is, what it is signed with, what it is told, and how that went last. */
export function WebhookFields({
  index,
  webhook,
  last,
  isDisabled,
  errorOf,
  onChange,
  onRemove,
  action,
}: {
  index: number;
  webhook: WebhookDraft;
  last: LastResult | null;
  isDisabled: boolean;
  errorOf: (field: string) => string | undefined;
  onChange: (webhook: WebhookDraft) => void;
  onRemove: () => void;
  action: React.ReactNode;
}) {
  const { url, secret, fingerprint, events } = webhook;
  const at = `alert_webhooks.${index}`;
  const eventsError = errorOf(`${at}.events`);
  return (
    <Paper withBorder p="md" component="fieldset" aria-label={`Webhook ${index + 1}`}>
      <Stack gap="sm">
        <TextInput
          label="URL"
          placeholder="https://alerts.example.com/sendgate"
          autoComplete="off"
          spellCheck={false}
          disabled={isDisabled}
          error={errorOf(`${at}.url`)}
          value={url}
          onChange={(event) => onChange({ ...webhook, url: event.currentTarget.value })}
        />
        <Group align="flex-end" gap="xs" wrap="nowrap">
          <TextInput
            flex={1}
            label="Secret"
            description={
              fingerprint === null
                ? 'What requests are signed with. It is not shown again: copy it to the receiver now.'
                : `It has one, with the fingerprint ${fingerprint}. Left empty, that stays.`
            }
            placeholder={fingerprint === null ? 'whsec_…' : 'unchanged'}
            autoComplete="off"
            spellCheck={false}
            disabled={isDisabled}
            error={errorOf(`${at}.secret`)}
            value={secret}
            onChange={(event) => onChange({ ...webhook, secret: event.currentTarget.value })}
          />
          {!isDisabled && secret === '' && (
            <Button variant="default" onClick={() => onChange({ ...webhook, secret: newSecret() })}>
              Make one
            </Button>
          )}
          {secret !== '' && (
            <CopyButton value={secret}>
              {({ copied, copy }) => (
                <Button variant="default" onClick={copy}>
                  {copied ? 'Copied' : 'Copy'}
                </Button>
              )}
            </CopyButton>
          )}
        </Group>
        <Checkbox.Group
          label="Is told when"
          error={eventsError}
          value={events}
          onChange={(chosen) => onChange({ ...webhook, events: chosen as AlertType[] })}
        >
          <Stack gap={4} mt={4}>
            {ALERT_TYPES.map((type) => (
              <Checkbox key={type} value={type} label={TYPE_WORDS[type]} disabled={isDisabled} />
            ))}
          </Stack>
        </Checkbox.Group>
        <Group justify="space-between" gap="xs">
          <LastWords last={last} />
          <Group gap="xs">
            {action}
            {!isDisabled && (
              <Button variant="subtle" color="red" size="compact-sm" onClick={onRemove}>
                Remove
              </Button>
            )}
          </Group>
        </Group>
      </Stack>
    </Paper>
  );
}

/** How the last attempt to tell somebody went. */
export function LastWords({ last }: { last: LastResult | null }) {
  if (last === null) {
    return (
      <Text size="sm" c="dimmed">
        Nothing was sent there yet.
      </Text>
    );
  }
  return (
    <Text size="sm" className="foreign" flex={1} miw="12rem">
      <Instant at={last.at} />: {last.type === 'alert.test' ? 'test' : last.type}. <b>{visible(stateWords(last))}</b>
    </Text>
  );
}

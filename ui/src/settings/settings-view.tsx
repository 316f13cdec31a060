import { Button, Grid, Group, Paper, Select, Stack, Switch, TagsInput, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { changeSettings, fetchSettings, type Settings, WEEKDAYS } from '../api/settings';
import { Confirm } from '../frame/confirm';
import { live } from '../frame/queries';
import { useMay, useSession } from '../frame/session';
import { Answered, Trouble } from '../frame/trouble';
import { useUnsaved } from '../frame/unsaved';
import { visible } from '../show/foreign';
import { About } from './about';
import { AnchorField } from './anchor-field';
import { anchorWords, capitalized, emptyCounterWords, monthsWords } from './calendar';
import { useDraft } from './draft';
import { Mappings } from './mappings';
import { type Months, MonthsField, monthsProblem } from './months-field';
import { Overtaken } from './overtaken';
import { isBesideFields, refusedFields } from './refusal';
import { ZoneField } from './zone-field';

const SETTINGS_KEY = ['settings'];

/** The settings as their fields hold them: a text or a number may be half there. Those of alerts are in a view of their own. */
type Fields = Omit<Settings, 'billing_anchor' | 'billing_months' | 'alert_thresholds' | 'alert_webhooks'> & {
  billing_anchor: string | null;
  billing_months: Months;
};
type Name = keyof Fields;

const LABELS: Record<Name, string> = {
  timezone: 'Time zone',
  week_start: 'A week begins on',
  billing_anchor: 'Billing periods are counted from',
  billing_months: 'Months in a billing period',
  exempt_topics: 'Exempt topics',
  require_membership: 'Require membership',
  log_checks: 'Log accepted checks too',
};

/** What applies to the whole workspace, who is signed in, and where the rest of Sendgate is. */
export function SettingsView() {
  const query = useQuery({ queryKey: SETTINGS_KEY, queryFn: ({ signal }) => fetchSettings(signal), ...live });
  const { workspace } = useSession();
  return (
    <div className="page">
      <Stack gap={0}>
        <Title order={1} size="h2">
          Settings
        </Title>
        <Text size="sm" c="dimmed" className="foreign">
          What applies to all of the workspace {visible(workspace)}. A change is in force for the next check,
          everywhere.
        </Text>
      </Stack>
      <Grid gap="xl">
        <Grid.Col span={{ base: 12, lg: 8 }}>
          <Answered query={query} lines={8}>
            {(settings) => <SettingsForm settings={settings} />}
          </Answered>
          <Mappings />
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 4 }}>
          <About />
        </Grid.Col>
      </Grid>
    </div>
  );
}

function SettingsForm({ settings }: { settings: Settings }) {
  const queries = useQueryClient();
  const mayChange = useMay('admin');
  const draft = useDraft<Fields>(settings);
  const { values, changes, isDirty } = draft;
  const changed = Object.keys(changes) as Name[];
  const { question } = useUnsaved(isDirty);
  const [isAsked, setAsked] = useState(false);

  const saving = useMutation({
    mutationFn: changeSettings,
    onSuccess(saved) {
      queries.setQueryData(SETTINGS_KEY, saved);
      notifications.show({ color: 'teal', message: 'Saved. It is in force for the next check.' });
    },
  });
  // What is wrong with what was sent, as long as it stands there.
  const refused = refusedFields(saving.error);
  const sent: Partial<Fields> = saving.variables ?? {};
  const problems = problemsOf(values);
  const errorOf = (name: Name): string | undefined =>
    problems[name] ?? (JSON.stringify(sent[name]) === JSON.stringify(changes[name]) ? refused[name] : undefined);
  const isBeside = isBesideFields(saving.error, Object.keys(LABELS));
  const warnings = emptyCounterWords(changes, 'workspace');
  const isWrong = changed.some((name) => problems[name] !== undefined);

  /** Saves; what is refused beside a field is not thrown. */
  async function save(): Promise<void> {
    try {
      await saving.mutateAsync(changes as Partial<Settings>);
    } catch (error) {
      if (!isBesideFields(error, Object.keys(LABELS))) throw error;
    }
  }

  const field = (name: Name) => ({ label: LABELS[name], disabled: !mayChange, error: errorOf(name) });
  const overtaken = (name: Name) => (
    <Overtaken
      isOvertaken={draft.isOvertaken(name)}
      theirs={valueWords(name, settings)}
      onTake={() => draft.drop(name)}
    />
  );
  return (
    <form
      aria-label="Settings of the workspace"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        if (!mayChange || !isDirty || isWrong || saving.isPending) return;
        if (warnings.length > 0) setAsked(true);
        else void save().catch(() => undefined);
      }}
    >
      <Stack gap="lg">
        {!mayChange && (
          <Text size="sm">You see the settings. To change them, sign in with a key that has the role admin.</Text>
        )}
        <Section
          title="Calendar"
          words="When an hour, a day, a week, a month and a billing period begin. An account may have a time zone and billing periods of its own. Counters begin empty where a change makes these begin at other moments."
        >
          <div>
            <ZoneField
              {...field('timezone')}
              value={values.timezone}
              onChange={(zone) => zone !== null && draft.set('timezone', zone)}
            />
            {overtaken('timezone')}
          </div>
          <div>
            <Select
              {...field('week_start')}
              data={WEEKDAYS.map((value) => ({ value, label: capitalized(value) }))}
              value={values.week_start}
              allowDeselect={false}
              maxDropdownHeight={320}
              onChange={(day) => day !== null && draft.set('week_start', day as Settings['week_start'])}
            />
            {overtaken('week_start')}
          </div>
          <div>
            <AnchorField
              {...field('billing_anchor')}
              description="By the clock of the time zone above. Each period begins on that day of the month, or on its last when there is no such day."
              value={values.billing_anchor}
              onChange={(anchor) => draft.set('billing_anchor', anchor)}
            />
            {overtaken('billing_anchor')}
          </div>
          <div>
            <MonthsField
              {...field('billing_months')}
              value={values.billing_months}
              onChange={(months) => draft.set('billing_months', months)}
            />
            {overtaken('billing_months')}
          </div>
        </Section>
        <Section title="Messages" words="What is let through, and what is written down.">
          <div>
            <TagsInput
              {...field('exempt_topics')}
              description="They count, and are never throttled. End each with Enter; a name is taken as it is written, capitals included."
              placeholder={values.exempt_topics.length === 0 ? 'None' : ''}
              value={values.exempt_topics.map(visible)}
              splitChars={['\n']}
              isDuplicate={(topic, topics) => topics.includes(topic)}
              onChange={(shown) => draft.set('exempt_topics', topicsOf(shown, values.exempt_topics))}
              styles={{ pill: { maxWidth: '100%' } }}
            />
            {overtaken('exempt_topics')}
          </div>
          <div>
            <Switch
              {...field('require_membership')}
              description="A message for an account that its user is not in is filtered: it is not sent, and counts nothing."
              checked={values.require_membership}
              onChange={(event) => draft.set('require_membership', event.currentTarget.checked)}
            />
            {overtaken('require_membership')}
          </div>
          <div>
            <Switch
              {...field('log_checks')}
              description="Throttled checks are always logged. With the accepted ones it can be seen what used up a limit, and the log is longer."
              checked={values.log_checks === 'all'}
              onChange={(event) => draft.set('log_checks', event.currentTarget.checked ? 'all' : 'throttled')}
            />
            {overtaken('log_checks')}
          </div>
        </Section>
        {isDirty && (
          <Paper withBorder shadow="md" p="sm" pos="sticky" bottom={8} style={{ zIndex: 2 }}>
            <Stack gap="xs">
              {!isBeside && !isAsked && <Trouble error={saving.error} />}
              <Group justify="space-between" gap="sm">
                <Text size="sm" role="status" flex={1} miw="12rem">
                  Not saved: {changed.map((name) => LABELS[name]).join(', ')}
                </Text>
                <Group gap="xs" wrap="nowrap">
                  <Button variant="default" onClick={() => draft.drop()} disabled={saving.isPending}>
                    Discard
                  </Button>
                  <Button type="submit" disabled={isWrong} loading={saving.isPending && !isAsked}>
                    Save
                  </Button>
                </Group>
              </Group>
            </Stack>
          </Paper>
        )}
      </Stack>
      <Confirm
        opened={isAsked}
        title="Let counters begin empty?"
        confirmLabel="Save"
        onConfirm={save}
        onClose={() => setAsked(false)}
      >
        <Stack gap="sm">
          {warnings.map((words) => (
            <Text size="sm" key={words}>
              {words}
            </Text>
          ))}
          <Text size="sm">
            Who has used up a limit has all of it again. What was counted so far counts no more, until this is taken
            back.
          </Text>
        </Stack>
      </Confirm>
      {question}
    </form>
  );
}

function Section({ title, words, children }: { title: string; words: string; children: React.ReactNode }) {
  return (
    <Paper withBorder p="lg" component="section">
      <Stack gap="md">
        <Stack gap={0}>
          <Title order={2} size="h4">
            {title}
          </Title>
          <Text size="sm" c="dimmed">
            {words}
          </Text>
        </Stack>
        {children}
      </Stack>
    </Paper>
  );
}

/** What of the fields cannot be sent. */
function problemsOf({ billing_anchor, billing_months }: Fields): Partial<Record<Name, string>> {
  const problems: Partial<Record<Name, string>> = {};
  if (billing_anchor === null || billing_anchor === '') problems.billing_anchor = 'must be a date and a time';
  const months = monthsProblem(billing_months);
  if (months !== undefined) problems.billing_months = months;
  return problems;
}

/**
 * The topics that a field's entries stand for. An entry shows marks that cannot be seen as what they are; one that was
 * there before is the topic that it was.
 */
function topicsOf(shown: readonly string[], before: readonly string[]): string[] {
  const topics = new Map(before.map((topic) => [visible(topic), topic]));
  return shown.map((entry) => topics.get(entry) ?? entry.trim()).filter((topic) => topic !== '');
}

function valueWords(name: Name, settings: Settings): string {
  switch (name) {
    case 'billing_anchor':
      return anchorWords(settings.billing_anchor);
    case 'billing_months':
      return monthsWords(settings.billing_months);
    case 'week_start':
      return capitalized(settings.week_start);
    case 'exempt_topics':
      return settings.exempt_topics.length === 0 ? 'none' : settings.exempt_topics.join(', ');
    case 'require_membership':
      return settings.require_membership ? 'on' : 'off';
    case 'log_checks':
      return settings.log_checks === 'all' ? 'on' : 'off';
    default:
      return settings[name];
  }
}

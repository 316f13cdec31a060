import { Button, Drawer, Group, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { type Account, type AccountInput, changeAccount } from '../api/accounts';
import { Confirm } from '../frame/confirm';
import { Trouble } from '../frame/trouble';
import { useUnsaved } from '../frame/unsaved';
import { AnchorField } from '../settings/anchor-field';
import { anchorWords, emptyCounterWords, monthsWords } from '../settings/calendar';
import { useDraft } from '../settings/draft';
import { type Months, MonthsField, monthsProblem } from '../settings/months-field';
import { Overtaken } from '../settings/overtaken';
import { isBesideFields, refusedFields } from '../settings/refusal';
import { ZoneField } from '../settings/zone-field';
import { visible } from '../show/foreign';
import { accountKey } from './lists';

/** An account's settings as their fields hold them. */
interface Fields {
  name: string;
  timezone: string | null;
  /** Empty while it is half there. */
  billing_anchor: string | null;
  /** Empty for none. */
  billing_months: Months;
}
type Name = keyof Fields;
const NAMES: readonly Name[] = ['name', 'timezone', 'billing_anchor', 'billing_months'];

/** Edits what an account says of itself. The fields that are not shown here stay as they are. */
export function AccountForm({ id, account, onClose }: { id: string; account: Account | null; onClose: () => void }) {
  const queries = useQueryClient();
  const present = useMemo(() => fieldsOf(account), [account]);
  const draft = useDraft<Fields>(present);
  const { values, changes, isDirty } = draft;
  const { leave, isAsking, question } = useUnsaved(isDirty);
  const [isAsked, setAsked] = useState(false);

  const saving = useMutation({
    mutationFn: (sent: Partial<Fields>) => changeAccount(id, inputOf(sent)),
    async onSuccess(saved) {
      queries.setQueryData(accountKey(id), saved);
      await queries.resetQueries({ queryKey: ['feed', 'accounts'] });
      notifications.show({ color: 'teal', message: 'Saved. It is in force for the next check.' });
    },
  });
  const refused = refusedFields(saving.error);
  const sent: Partial<Fields> = saving.variables ?? {};
  const problems: Partial<Record<Name, string>> = {};
  if (values.billing_anchor === '') problems.billing_anchor = 'must be a date and a time';
  const months = values.billing_months === '' ? undefined : monthsProblem(values.billing_months);
  if (months !== undefined) problems.billing_months = months;
  const errorOf = (name: Name) =>
    problems[name] ?? (JSON.stringify(sent[name]) === JSON.stringify(changes[name]) ? refused[name] : undefined);
  const isWrong = Object.keys(problems).length > 0;
  const warnings = emptyCounterWords(changes, 'account');

  /** Saves and closes; what is refused beside a field is not thrown. */
  async function save(): Promise<void> {
    try {
      await saving.mutateAsync(changes);
      onClose();
    } catch (error) {
      if (!isBesideFields(error, NAMES)) throw error;
    }
  }

  const overtaken = (name: Name) => (
    <Overtaken
      isOvertaken={draft.isOvertaken(name)}
      theirs={valueWords(present[name])}
      onTake={() => draft.drop(name)}
    />
  );
  return (
    <Drawer
      opened
      onClose={() => {
        if (!saving.isPending) leave(onClose);
      }}
      closeOnEscape={!isAsking && !isAsked}
      position="right"
      size="30rem"
      title="Settings of the account"
    >
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (!isDirty || isWrong || saving.isPending) return;
          if (warnings.length > 0) setAsked(true);
          else void save().catch(() => undefined);
        }}
      >
        <Stack>
          <Text size="sm" className="foreign">
            What <bdi>{visible(id)}</bdi> does not say itself is as in the settings of the workspace.
          </Text>
          <div>
            <TextInput
              label="Name"
              value={values.name}
              onChange={(event) => draft.set('name', event.currentTarget.value)}
              error={errorOf('name')}
              autoComplete="off"
              data-autofocus
            />
            {overtaken('name')}
          </div>
          <div>
            <ZoneField
              label="Time zone"
              description="By its clock days, weeks and months begin, for limits that count by account."
              noneLabel="The workspace’s"
              value={values.timezone}
              onChange={(zone) => draft.set('timezone', zone)}
              error={errorOf('timezone')}
            />
            {overtaken('timezone')}
          </div>
          <div>
            <AnchorField
              label="Billing periods are counted from"
              description="Empty for the workspace’s."
              value={values.billing_anchor}
              onChange={(anchor) => draft.set('billing_anchor', anchor)}
              error={errorOf('billing_anchor')}
            />
            {overtaken('billing_anchor')}
          </div>
          <div>
            <MonthsField
              label="Months in a billing period"
              description="Empty for the workspace’s."
              value={values.billing_months}
              onChange={(months) => draft.set('billing_months', months)}
              error={errorOf('billing_months')}
            />
            {overtaken('billing_months')}
          </div>
          {!isBesideFields(saving.error, NAMES) && !isAsked && <Trouble error={saving.error} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} disabled={saving.isPending}>
              Cancel
            </Button>
            <Button type="submit" disabled={!isDirty || isWrong} loading={saving.isPending && !isAsked}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
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
          <Text size="sm">This is for limits that count by account, for this account alone.</Text>
        </Stack>
      </Confirm>
      {question}
    </Drawer>
  );
}

function fieldsOf(account: Account | null): Fields {
  return {
    name: account?.name ?? '',
    timezone: account?.timezone ?? null,
    billing_anchor: account?.billing_anchor ?? null,
    billing_months: account?.billing_months ?? '',
  };
}

/** Nothing is none. */
function inputOf({ name, billing_months, ...others }: Partial<Fields>): Partial<AccountInput> {
  return {
    ...others,
    ...(name === undefined ? {} : { name: name === '' ? null : name }),
    ...(billing_months === undefined ? {} : { billing_months: billing_months === '' ? null : Number(billing_months) }),
  };
}

function valueWords(value: Fields[Name]): string {
  if (value === null || value === '') return 'not given';
  return typeof value === 'number' ? monthsWords(value) : anchorWords(value);
}

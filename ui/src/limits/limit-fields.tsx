import { Checkbox, Group, NativeSelect, Radio, Stack, Text, Textarea, TextInput } from '@mantine/core';
import type { UseFormReturnType } from '@mantine/form';
import { IconBan } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { DIMENSIONS, type Dimension, type Limit, PERIODS } from '../api/limits';
import { BROWSER_ZONE } from '../show/instant';
import { PERIOD_WORDS } from '../show/limit-bar';
import type { MomentFieldProps } from '../show/moment-field';
import type { Draft, DraftErrors } from './draft';
import { baseOf } from './families';
import { A_PERIOD, EXCEEDED_WORDS, limitWords, MODE_WORDS, perWords, REDIS_DOWN_WORDS } from './limit-words';

/** Loaded beside the form; without Sendgate the browser has one of its own, and nothing that was typed is lost. */
const MomentField = lazy(() => import('../show/moment-field').catch(() => ({ default: PlainMomentField })));

/** The fields of a limit. */
export function LimitFields({
  form,
  errors,
  isNew,
  limits,
}: {
  form: UseFormReturnType<Draft>;
  /** What is wrong with which field. */
  errors: DraftErrors;
  isNew: boolean;
  limits: readonly Limit[];
}) {
  const draft = form.values;
  const field = (path: string, type: 'input' | 'checkbox' = 'input') => ({
    ...form.getInputProps(path, { type }),
    error: errors[path],
  });
  const taken = isNew && draft.id !== '' ? limits.find(({ id }) => id === draft.id) : undefined;
  return (
    <Stack gap="lg">
      {isNew && (
        <TextInput
          label="Id"
          description="Letters, digits and . _ - as answers and the log name it. Without one, one is made."
          placeholder="such as user-daily"
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          {...field('id')}
          error={
            taken === undefined ? (
              errors.id
            ) : (
              <>
                is taken by{' '}
                <Link to="/limits" search={{ edit: taken.id }} className="limit-inline">
                  the limit that there is
                </Link>
              </>
            )
          }
        />
      )}
      <Counted form={form} error={errors.per} />
      <Amount form={form} errors={errors} />
      <Where form={form} errors={errors} limits={limits} isNew={isNew} />
      <Choice
        legend="Mode"
        path="mode"
        words={MODE_WORDS}
        value={draft.mode}
        error={errors.mode}
        onChange={(value) => form.setFieldValue('mode', value)}
      />
      <Choice
        legend="When it is full"
        path="on_exceeded"
        words={EXCEEDED_WORDS}
        value={draft.on_exceeded}
        error={errors.on_exceeded}
        note={
          draft.mode === 'shadow' || draft.isLifted
            ? `This matters once it ${draft.isLifted ? 'has a maximum' : 'is enforced'}.`
            : null
        }
        onChange={(value) => form.setFieldValue('on_exceeded', value)}
      />
      <Choice
        legend="When Redis is down"
        path="on_redis_down"
        words={REDIS_DOWN_WORDS}
        value={draft.on_redis_down}
        error={errors.on_redis_down}
        note="Of several limits that apply, the strictest rules."
        onChange={(value) => form.setFieldValue('on_redis_down', value)}
      />
      <TextInput
        label="Alerts at"
        description="Percent of the maximum at which somebody is told. Left empty, at the thresholds of the workspace; “none” for no such alerts."
        placeholder="such as 50, 80, 100"
        autoComplete="off"
        {...field('alert_thresholds')}
      />
      <fieldset className="limit-fieldset">
        <legend>For a time only</legend>
        <Text size="xs" c="dimmed" mb="xs">
          While it is in force it wins over a lasting limit for the same messages. By the clock in {BROWSER_ZONE}, where
          this browser is.
        </Text>
        <div className="limit-moments">
          <Suspense fallback={<MomentsWaiting />}>
            <Moment label="From" placeholder="At once" path="from" form={form} error={errors.from} />
            <Moment label="Until" placeholder="For good" path="until" form={form} error={errors.until} />
          </Suspense>
        </div>
      </fieldset>
      <Textarea
        label="Reason"
        description="For whoever finds it later."
        autosize
        minRows={2}
        maxRows={8}
        {...field('reason')}
      />
    </Stack>
  );
}

/** What is counted together: everybody's messages, or those of each of something. */
function Counted({ form, error }: { form: UseFormReturnType<Draft>; error: string | undefined }) {
  const { per } = form.values;
  return (
    <Checkbox.Group
      label="What is counted"
      description={countedWords(per)}
      error={error}
      value={per.length === 0 ? [ALL] : per}
      onChange={(values) => {
        const isAll = values.at(-1) === ALL;
        form.setFieldValue('per', isAll ? [] : DIMENSIONS.filter((dimension) => values.includes(dimension)));
      }}
      inputWrapperOrder={['label', 'description', 'input', 'error']}
      data-path="per"
    >
      <Group className="limit-checks" mt="xs">
        <Checkbox value={ALL} label="All messages together" />
        {DIMENSIONS.map((dimension) => (
          <Checkbox key={dimension} value={dimension} label={`Each ${dimension}`} />
        ))}
      </Group>
    </Checkbox.Group>
  );
}

/** What is checked while no dimension is. */
const ALL = 'all';

function countedWords(per: readonly Dimension[]): string {
  if (per.length === 0) return 'Every message counts toward the same count.';
  const without = per.filter((dimension) => dimension !== 'user');
  const lacking =
    without.length === 0 ? '' : ` A message without ${without.map(anOf).join(' or ')} does not count toward it.`;
  return `${perWords(per)} has a count of its own.${lacking}`;
}

function anOf(dimension: Dimension): string {
  return `${dimension === 'account' ? 'an' : 'a'} ${dimension}`;
}

/** How much may go out, and in what time. */
function Amount({ form, errors }: { form: UseFormReturnType<Draft>; errors: DraftErrors }) {
  const { isLifted, max, period } = form.values;
  return (
    <Stack gap="xs">
      <div className="limit-amount-fields">
        {/* One for numbers would make 15 of 1.5 and of 1,5. */}
        <TextInput
          label="At most"
          placeholder="such as 50"
          inputMode="numeric"
          autoComplete="off"
          disabled={isLifted}
          {...form.getInputProps('max')}
          error={isLifted ? undefined : errors.max}
        />
        <NativeSelect
          label="Messages in"
          data={PERIODS.map((value) => ({ value, label: `a ${PERIOD_WORDS[value]}`.replace(/^a h/, 'an h') }))}
          {...form.getInputProps('period')}
          error={errors.period}
        />
      </div>
      <Checkbox
        label="No limit, only count"
        {...form.getInputProps('isLifted', { type: 'checkbox' })}
        description={
          isLifted ? 'Lifts the limit for what it is for: everything goes out, and is counted all the same.' : null
        }
      />
      {!isLifted && max.trim() === '0' && (
        <Text size="sm" role="status" className="limit-warning">
          <IconBan size={16} aria-hidden />0 blocks: nothing that it is for goes out {A_PERIOD[period]}.
        </Text>
      )}
    </Stack>
  );
}

/** The messages that it is for. */
function Where({
  form,
  errors,
  limits,
  isNew,
}: {
  form: UseFormReturnType<Draft>;
  errors: DraftErrors;
  limits: readonly Limit[];
  isNew: boolean;
}) {
  const { where, per, period, mode, id } = form.values;
  const isOverride = DIMENSIONS.some((dimension) => where[dimension] !== '');
  const base = isOverride ? baseOf(limits, { per, period, mode, ...(isNew ? {} : { id }) }) : null;
  return (
    <fieldset className="limit-fieldset" data-path="where" tabIndex={-1}>
      <legend>Only for some messages</legend>
      <Text size="xs" c="dimmed" mb="xs">
        An override: messages that match all of these go by this limit, and not by a broader one that counts the same.
        They still count together with all the others.
      </Text>
      <div className="limit-pairs">
        {DIMENSIONS.map((dimension) => (
          <TextInput
            key={dimension}
            label={`${dimension.charAt(0).toUpperCase()}${dimension.slice(1)}`}
            placeholder="any"
            autoComplete="off"
            spellCheck={false}
            {...form.getInputProps(`where.${dimension}`)}
            error={errors[`where.${dimension}`]}
            description={
              where[dimension] === where[dimension].trim()
                ? null
                : 'It begins or ends with a blank, and counts with it.'
            }
          />
        ))}
      </div>
      {errors.where !== undefined && (
        <Text size="xs" c="var(--mantine-color-error)" mt="xs" role="alert">
          {errors.where}
        </Text>
      )}
      {isOverride && limits.length > 0 && (
        <Text size="xs" mt="xs" className="foreign">
          {base === null ? (
            `No limit counts the same for all messages: those that do not match are not limited ${A_PERIOD[period]} by it.`
          ) : (
            <>
              It overrides <b>{base.id}</b> ({limitWords(base)}).
            </>
          )}
        </Text>
      )}
    </fieldset>
  );
}

/** One of a few, each with what it does. */
function Choice<Value extends string>({
  legend,
  path,
  words,
  value,
  note = null,
  error,
  onChange,
}: {
  legend: string;
  path: string;
  words: Record<Value, { label: string; words: string }>;
  value: Value;
  note?: string | null;
  error: string | undefined;
  onChange: (value: Value) => void;
}) {
  return (
    <Radio.Group
      label={legend}
      value={value}
      onChange={(chosen) => onChange(chosen as Value)}
      error={error}
      description={note}
      data-path={path}
    >
      <Stack gap={6} mt={6}>
        {(Object.keys(words) as Value[]).map((one) => (
          <Radio key={one} value={one} label={words[one].label} description={words[one].words} />
        ))}
      </Stack>
    </Radio.Group>
  );
}

function Moment({
  path,
  form,
  error,
  ...props
}: {
  path: 'from' | 'until';
  form: UseFormReturnType<Draft>;
  error: string | undefined;
  label: string;
  placeholder: string;
}) {
  return (
    <MomentField
      {...props}
      size="sm"
      withinPortal
      error={error}
      value={form.values[path] ?? undefined}
      onChange={(value) => form.setFieldValue(path, value ?? null)}
    />
  );
}

function MomentsWaiting() {
  return (
    <>
      <TextInput label="From" disabled />
      <TextInput label="Until" disabled />
    </>
  );
}

function PlainMomentField({ label, value, onChange, error }: MomentFieldProps) {
  return (
    <TextInput
      type="datetime-local"
      step={1}
      label={label}
      error={error}
      defaultValue={value === undefined ? '' : localText(new Date(value))}
      onChange={(event) => {
        const date = new Date(event.currentTarget.value);
        onChange(Number.isNaN(date.getTime()) ? undefined : date.toISOString());
      }}
    />
  );
}

/** A moment by this browser's clock, as such a field has it. */
function localText(date: Date): string {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

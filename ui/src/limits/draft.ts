import type { FieldError } from '../api/call';
import { DIMENSIONS, type Dimension, type Limit, type LimitInput, type Period } from '../api/limits';
import { thresholdsOf, thresholdText } from '../show/thresholds';
import { ordered, wherePairs } from './limit-words';

/** A limit as it is being written: what is typed, also while it is not a limit yet. */
export interface Draft {
  id: string;
  per: Dimension[];
  period: Period;
  /** Whether it only counts. What stands in `max` is kept meanwhile. */
  isLifted: boolean;
  /** As it is typed. */
  max: string;
  where: Record<Dimension, string>;
  mode: LimitInput['mode'];
  on_exceeded: LimitInput['on_exceeded'];
  on_redis_down: LimitInput['on_redis_down'];
  /** As it is typed; empty for the workspace's. */
  alert_thresholds: string;
  from: string | null;
  until: string | null;
  reason: string;
}

/** What is wrong with a draft, by field: `max`, `where.user`. */
export type DraftErrors = Record<string, string>;

const MAX_MAX = 1_000_000_000_000;
const REASON_MAX = 1_000;
const NOWHERE: Draft['where'] = { account: '', user: '', topic: '', channel: '' };

/** What a new limit begins with. */
export const EMPTY_DRAFT: Draft = {
  id: '',
  per: ['user'],
  period: 'day',
  isLifted: false,
  max: '',
  where: NOWHERE,
  mode: 'enforce',
  on_exceeded: 'throttle',
  on_redis_down: 'deny',
  alert_thresholds: '',
  from: null,
  until: null,
  reason: '',
};

/** A limit, to be edited. */
export function draftOf(limit: LimitInput): Draft {
  const { id = '', per, period, max, where, mode, on_exceeded, on_redis_down, from, until, reason } = limit;
  const { alert_thresholds } = limit;
  return {
    id,
    per: ordered(per),
    period,
    isLifted: max === null,
    max: max === null ? '' : String(max),
    where: { ...NOWHERE, ...Object.fromEntries(wherePairs(where)) },
    mode,
    on_exceeded,
    on_redis_down,
    alert_thresholds: alert_thresholds === null ? '' : thresholdText(alert_thresholds),
    from,
    until,
    reason: reason ?? '',
  };
}

/** What an override of a limit begins with: the same, for messages that are yet to be named. */
export function overrideOf(limit: Limit): Draft {
  return { ...draftOf(limit), id: '', where: NOWHERE, from: null, until: null, reason: '' };
}

/** The limit that a draft makes, once {@link draftErrors} finds nothing. */
export function inputOf(draft: Draft): LimitInput {
  const { id, per, period, isLifted, max, where, mode, on_exceeded, on_redis_down, from, until, reason } = draft;
  const named = DIMENSIONS.filter((dimension) => where[dimension] !== '');
  return {
    ...(id === '' ? {} : { id }),
    per: ordered(per),
    period,
    max: isLifted ? null : Number(max),
    where: named.length === 0 ? null : Object.fromEntries(named.map((dimension) => [dimension, where[dimension]])),
    mode,
    on_exceeded,
    on_redis_down,
    alert_thresholds: draft.alert_thresholds.trim() === '' ? null : thresholdsOf(draft.alert_thresholds),
    from,
    until,
    reason: reason.trim() === '' ? null : reason,
  };
}

/** What keeps a draft from being a limit, as far as it can be told here. */
export function draftErrors(draft: Draft): DraftErrors {
  const { id, isLifted, max, from, until, reason } = draft;
  const errors: DraftErrors = {};
  if (!/^[A-Za-z0-9._-]{0,64}$/.test(id)) errors.id = 'must be 1 to 64 of the characters A-Z a-z 0-9 . _ -';
  if (!isLifted) {
    const digits = max.trim();
    if (digits === '') errors.max = 'must be a number: 0 blocks';
    else if (!/^\d+$/.test(digits)) errors.max = 'must be a whole number in digits alone, and not below 0';
    else if (Number(digits) > MAX_MAX) errors.max = `must be at most ${MAX_MAX.toLocaleString()}`;
  }
  if (draft.alert_thresholds.trim() !== '' && thresholdsOf(draft.alert_thresholds) === null) {
    errors.alert_thresholds =
      'must be whole numbers from 1 to 100, each once and ten at most, such as 80, 100; or none';
  }
  if (from !== null && until !== null && Date.parse(from) >= Date.parse(until))
    errors.until = 'must be later than from';
  if (reason.length > REASON_MAX) errors.reason = `must be at most ${REASON_MAX.toLocaleString()} characters`;
  return errors;
}

/** What the server found, by field; what has no field of its own is left out. */
export function fieldErrors(errors: readonly FieldError[]): DraftErrors {
  return Object.fromEntries(
    errors.flatMap(({ path, message }) => {
      const field = FIELDS.find((name) => path === name || (LISTS.includes(name) && path.startsWith(`${name}.`)));
      return field === undefined ? [] : [[field, message]];
    }),
  );
}

/** Of which what is wrong may be one entry. */
const LISTS: readonly string[] = ['per', 'alert_thresholds'];

const FIELDS: readonly string[] = [
  'id',
  'per',
  'period',
  'max',
  'where',
  ...DIMENSIONS.map((dimension) => `where.${dimension}`),
  'mode',
  'on_exceeded',
  'on_redis_down',
  'alert_thresholds',
  'from',
  'until',
  'reason',
];

/** Whether two drafts say the same. */
export function isSameDraft(one: Draft, other: Draft): boolean {
  return textOf(one) === textOf(other);
}

/** Whether two limits say the same, whenever they were written. */
export function isSameLimit(one: LimitInput, other: LimitInput): boolean {
  return isSameDraft(draftOf(one), draftOf(other));
}

function textOf(draft: Draft): string {
  const { per, max, isLifted, ...rest } = draft;
  return JSON.stringify({
    ...rest,
    where: DIMENSIONS.map((name) => draft.where[name]),
    per: ordered(per),
    max: isLifted ? null : max.trim(),
  });
}

/** What was written here where it was changed here, and what is there now everywhere else. */
export function merged(began: Draft, now: Draft, written: Draft): Draft {
  const pick = <Value>(was: Value, is: Value, wrote: Value) =>
    JSON.stringify(wrote) === JSON.stringify(was) ? is : wrote;
  const amountOf = ({ isLifted, max }: Draft) => ({ isLifted, max: isLifted ? '' : max.trim() });
  const amount = pick(amountOf(began), amountOf(now), amountOf(written));
  const values = (name: Dimension) => pick(began.where[name], now.where[name], written.where[name]);
  return {
    id: written.id,
    per: pick(ordered(began.per), ordered(now.per), ordered(written.per)),
    period: pick(began.period, now.period, written.period),
    isLifted: amount.isLifted,
    max: amount.max,
    where: { account: values('account'), user: values('user'), topic: values('topic'), channel: values('channel') },
    mode: pick(began.mode, now.mode, written.mode),
    on_exceeded: pick(began.on_exceeded, now.on_exceeded, written.on_exceeded),
    on_redis_down: pick(began.on_redis_down, now.on_redis_down, written.on_redis_down),
    alert_thresholds: pick(began.alert_thresholds, now.alert_thresholds, written.alert_thresholds),
    from: pick(began.from, now.from, written.from),
    until: pick(began.until, now.until, written.until),
    reason: pick(began.reason, now.reason, written.reason),
  };
}

import type { UsageOf } from '../api/usage';
import { visible } from '../show/foreign';

/** What stands before a value of each dimension when a message is spoken of. */
const PREPOSITIONS = { user: 'to', account: 'for', topic: 'about', channel: 'by' } as const;
const SPOKEN = ['user', 'account', 'topic', 'channel'] as const;

/** A message, by what is known of it: `A message to ann for acme about billing`. */
export function MessageWords({ of }: { of: UsageOf }) {
  return (
    <>
      A message
      {SPOKEN.map((dimension) => {
        const value = of[dimension];
        if (value === undefined) return null;
        return (
          <span key={dimension}>
            {' '}
            {PREPOSITIONS[dimension]} <b>{<bdi>{visible(value)}</bdi>}</b>
          </span>
        );
      })}
    </>
  );
}

/** Whose counter it is: `user ann and topic billing`. */
export function CounterWords({ of }: { of: UsageOf }) {
  const given = SPOKEN.filter((dimension) => of[dimension] !== undefined);
  if (given.length === 0) return <>all messages</>;
  return given.map((dimension, index) => (
    <span key={dimension}>
      {index > 0 && ' and '}
      {dimension} <bdi>{visible(of[dimension]!)}</bdi>
    </span>
  ));
}

/** `one, two and three`, of anything. */
export function Listed({ items }: { items: readonly React.ReactNode[] }) {
  return items.map((item, index) => (
    // They have no more of their own than their place
    <span key={index}>
      {index === 0 ? '' : index === items.length - 1 ? ' and ' : ', '}
      {item}
    </span>
  ));
}

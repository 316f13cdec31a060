import { useEffect, useMemo, useState } from 'react';

/** What somebody has changed and not saved, over what is there. */
export interface Draft<Values extends object> {
  /** What is there, with the changes. */
  values: Values;
  /** What differs from what is there, and only that. */
  changes: Partial<Values>;
  isDirty: boolean;
  set: <Name extends keyof Values>(name: Name, value: Values[Name]) => void;
  /** Takes what is there: of one field, or of all. */
  drop: (name?: keyof Values) => void;
  /** Whether what is there is no longer what it was when the field was changed here. */
  isOvertaken: (name: keyof Values) => boolean;
}

interface Edit {
  value: unknown;
  /** What was there when it began. */
  began: unknown;
}

/** Keeps what is typed over what is there, which may change meanwhile: an answer never takes it away. */
export function useDraft<Values extends object>(present: Values): Draft<Values> {
  const [edits, setEdits] = useState<Edits<keyof Values>>({});
  const changed = useMemo(
    () => (Object.keys(edits) as (keyof Values)[]).filter((name) => !isSame(edits[name]!.value, present[name])),
    [edits, present],
  );
  // What is there by now is no change any more, and does not become one again by itself.
  useEffect(() => {
    setEdits((old) => {
      const names = Object.keys(old) as (keyof Values)[];
      const still = names.filter((name) => !isSame(old[name]!.value, present[name]));
      return still.length === names.length ? old : pick(old, still);
    });
  }, [present]);

  return {
    values: useMemo(() => {
      const values = { ...present };
      for (const name of changed) values[name] = edits[name]!.value as Values[keyof Values];
      return values;
    }, [present, edits, changed]),
    changes: Object.fromEntries(changed.map((name) => [name, edits[name]!.value])) as Partial<Values>,
    isDirty: changed.length > 0,
    set(name, value) {
      setEdits((old) => {
        if (isSame(value, present[name])) return pick<keyof Values>(old, without<keyof Values>(old, name));
        return { ...old, [name]: { value, began: old[name] === undefined ? present[name] : old[name].began } };
      });
    },
    drop(name) {
      setEdits((old) => (name === undefined ? {} : pick<keyof Values>(old, without<keyof Values>(old, name))));
    },
    isOvertaken: (name) => changed.includes(name) && !isSame(edits[name]!.began, present[name]),
  };
}

type Edits<Name extends PropertyKey> = Partial<Record<Name, Edit>>;

function without<Name extends PropertyKey>(edits: Edits<Name>, name: Name): Name[] {
  return (Object.keys(edits) as Name[]).filter((other) => other !== name);
}

function pick<Name extends PropertyKey>(edits: Edits<Name>, names: readonly Name[]): Edits<Name> {
  return Object.fromEntries(names.map((name) => [name, edits[name]])) as Edits<Name>;
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

import { CloseButton, TextInput, type TextInputProps } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';

/** How long after the last key what was typed is looked for, in milliseconds. */
const TYPING_MS = 400;

/** A field whose value is a part of the address: it follows what is typed, and what is typed follows it back and forth. */
export function FilterField({
  value,
  onFilter,
  ...props
}: { value: string | undefined; onFilter: (value: string | undefined) => void } & Omit<
  TextInputProps,
  'value' | 'onChange'
>) {
  const [typed, setTyped] = useState(value ?? '');
  const told = useRef(value ?? '');
  const tell = (text: string) => {
    // What is pasted often has a blank or a line's end with it.
    const trimmed = text.trim();
    if (trimmed === told.current) return;
    told.current = trimmed;
    onFilter(trimmed === '' ? undefined : trimmed);
  };
  const tellLater = useDebouncedCallback(tell, TYPING_MS);
  useEffect(() => {
    const now = value ?? '';
    // What it said itself is no news, or it would take from who types on.
    if (now === told.current) return;
    told.current = now;
    setTyped(now);
  }, [value]);
  const change = (text: string) => {
    setTyped(text);
    tellLater(text);
  };
  return (
    <TextInput
      {...props}
      value={typed}
      spellCheck={false}
      autoComplete="off"
      onChange={(event) => change(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter') tell(typed);
      }}
      rightSection={
        typed === '' ? null : (
          <CloseButton
            size="sm"
            aria-label={`Clear ${String(props['aria-label'] ?? props.label ?? '')}`}
            onClick={() => {
              setTyped('');
              tell('');
            }}
          />
        )
      }
    />
  );
}

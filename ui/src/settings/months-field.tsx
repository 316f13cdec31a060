import { TextInput } from '@mantine/core';

const MONTHS_MAX = 120;

/** The months in a billing period, as their field holds them: a number, or what is typed while it is none. */
export type Months = number | string;

/** A field for the months in a billing period. What is typed stays as it is, also where it is no number. */
export function MonthsField({
  value,
  onChange,
  ...props
}: {
  label: string;
  value: Months;
  onChange: (months: Months) => void;
  error: string | undefined;
  description?: string;
  disabled?: boolean;
}) {
  return (
    <TextInput
      {...props}
      inputMode="numeric"
      autoComplete="off"
      maw="12rem"
      value={String(value)}
      onChange={({ currentTarget: { value: text } }) => {
        const months = Number(text);
        onChange(String(months) === text ? months : text);
      }}
    />
  );
}

/** What keeps it from being a number of months, if anything does. */
export function monthsProblem(months: Months): string | undefined {
  const isRight = Number.isInteger(months) && Number(months) >= 1 && Number(months) <= MONTHS_MAX;
  return isRight ? undefined : `must be a whole number from 1 to ${MONTHS_MAX}`;
}

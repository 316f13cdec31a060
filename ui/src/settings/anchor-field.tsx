import { TextInput } from '@mantine/core';
import { withSeconds } from './calendar';

/** A local date-time, without an offset. */
export function AnchorField({
  label,
  description,
  value,
  onChange,
  disabled,
  error,
}: {
  label: string;
  description?: React.ReactNode;
  /** Null or empty for none. */
  value: string | null;
  /** Told null once it is cleared, and an empty text while it is only half there. */
  onChange: (value: string | null) => void;
  disabled?: boolean;
  error?: React.ReactNode;
}) {
  return (
    <TextInput
      type="datetime-local"
      // To the second, in the years that are taken.
      step={1}
      min="1900-01-01T00:00:00"
      max="2200-12-31T23:59:59"
      label={label}
      description={description}
      value={value ?? ''}
      onChange={({ currentTarget: { value: text, validity } }) =>
        onChange(text === '' ? (validity.badInput ? '' : null) : withSeconds(text))
      }
      disabled={disabled}
      error={error}
    />
  );
}

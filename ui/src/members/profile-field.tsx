import { Button, JsonInput } from '@mantine/core';
import { jsonText, readProfile } from './profile';

/** A profile as JSON. What is wrong with it is said while it is typed. */
export function ProfileField({
  label = 'Profile',
  description,
  text,
  onChange,
  mayBeEmpty = false,
  error,
  autoFocus = false,
}: {
  label?: string;
  description?: React.ReactNode;
  text: string;
  onChange: (text: string) => void;
  mayBeEmpty?: boolean;
  /** What was wrong with it when it was sent. */
  error?: string | undefined;
  autoFocus?: boolean;
}) {
  const isLeftOut = mayBeEmpty && text.trim() === '';
  const read = isLeftOut ? null : readProfile(text);
  const problem = read !== null && 'problem' in read ? read.problem : error;
  const orderly = read !== null && 'profile' in read ? jsonText(read.profile) : text;
  return (
    <div>
      <JsonInput
        label={label}
        description={description}
        value={text}
        onChange={onChange}
        error={problem}
        // It says so itself.
        deserialize={(given) => given}
        autosize
        minRows={mayBeEmpty ? 4 : 8}
        maxRows={20}
        spellCheck={false}
        autoComplete="off"
        dir="ltr"
        {...(autoFocus ? { 'data-autofocus': true } : {})}
        styles={{
          input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 'var(--mantine-font-size-xs)' },
        }}
      />
      {orderly !== text && (
        <Button variant="subtle" size="compact-xs" mt={4} onClick={() => onChange(orderly)}>
          Put in order
        </Button>
      )}
    </div>
  );
}

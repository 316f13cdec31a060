import { Group, type OptionsFilter, Select, Text } from '@mantine/core';
import { useMemo } from 'react';
import { clockWords, offsetWords, timeZones } from './calendar';

/** Stands for none: no zone is called so. */
const NONE = '-';

/** A time zone, found by any part of its name. */
export function ZoneField({
  label,
  description,
  value,
  onChange,
  noneLabel,
  disabled,
  error,
}: {
  label: string;
  description?: React.ReactNode;
  value: string | null;
  onChange: (value: string | null) => void;
  /** What it is called when there is none; undefined where there must be one. */
  noneLabel?: string;
  disabled?: boolean;
  error?: React.ReactNode;
}) {
  const zones = useMemo(() => {
    const known = timeZones();
    // One that this browser does not know, or knows by another name.
    const all = value === null || known.includes(value) ? known : [value, ...known];
    const options = all.map((zone) => ({ value: zone, label: zone }));
    return noneLabel === undefined ? options : [{ value: NONE, label: noneLabel }, ...options];
  }, [value, noneLabel]);
  const clock = value === null ? '' : clockWords(value, Date.now());
  return (
    <Select
      label={label}
      description={
        <>
          {description}
          {clock !== '' && ` It is ${clock} there now.`}
        </>
      }
      data={zones}
      value={value ?? (noneLabel === undefined ? null : NONE)}
      onChange={(zone) => {
        if (zone !== null) onChange(zone === NONE ? null : zone);
      }}
      searchable
      allowDeselect={false}
      disabled={disabled}
      error={error}
      filter={byAnyPart}
      nothingFoundMessage="There is no such time zone"
      // The list scrolls by itself: what scrolls around it could not be reached by the keyboard.
      withScrollArea={false}
      styles={{ options: { maxHeight: '17.5rem', overflowY: 'auto' } }}
      renderOption={({ option, checked }) => (
        <Group justify="space-between" wrap="nowrap" flex={1} gap="xs">
          <Text span size="sm" fw={checked ? 700 : 400}>
            {option.label}
          </Text>
          <Text span size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>
            {option.value === NONE ? '' : offsetWords(option.value)}
          </Text>
        </Group>
      )}
    />
  );
}

/** "new york" finds America/New_York, and "+05:30" what is so far from UTC. */
const byAnyPart: OptionsFilter = ({ options, search }) => {
  const words = search.trim().toLowerCase().replaceAll('_', ' ').split(/\s+/);
  return options.filter((option) => {
    if (!('value' in option)) return true;
    const { value, label } = option;
    const text = `${label.replaceAll('_', ' ')} ${value === NONE ? '' : offsetWords(String(value))}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
};

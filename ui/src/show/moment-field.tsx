import '@mantine/dates/styles.css';
import { DateTimePicker, type DateTimePickerProps } from '@mantine/dates';

export interface MomentFieldProps {
  label: string;
  /** RFC 3339. */
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  size?: DateTimePickerProps['size'];
  placeholder?: string;
  description?: React.ReactNode;
  error?: React.ReactNode;
  disabled?: boolean;
  /** Whether its calendar stands in the page's own layer; not in a menu, which it would close. */
  withinPortal?: boolean;
}

/** A field for a moment, to the second, in this browser's time zone. */
export default function MomentField({
  value,
  onChange,
  size = 'xs',
  placeholder = 'Any time',
  withinPortal = false,
  ...props
}: MomentFieldProps) {
  const date = value === undefined ? null : new Date(value);
  return (
    <DateTimePicker
      {...props}
      size={size}
      clearable
      withSeconds
      valueFormat="YYYY-MM-DD HH:mm:ss"
      placeholder={placeholder}
      hideOutsideDates
      popoverProps={{ withinPortal }}
      weekendDays={[]}
      ariaLabels={{
        previousMonth: 'The month before',
        nextMonth: 'The next month',
        previousYear: 'The year before',
        nextYear: 'The next year',
        previousDecade: 'The decade before',
        nextDecade: 'The next decade',
      }}
      timePickerProps={{ hoursInputLabel: 'Hours', minutesInputLabel: 'Minutes', secondsInputLabel: 'Seconds' }}
      submitButtonProps={{ 'aria-label': 'Take it' }}
      styles={{ placeholder: { color: 'var(--mantine-color-dimmed)' } }}
      clearButtonProps={{ 'aria-label': `Clear ${props.label}` }}
      value={date === null || Number.isNaN(date.getTime()) ? null : date}
      onChange={(text) => onChange(text === null ? undefined : new Date(text).toISOString())}
    />
  );
}

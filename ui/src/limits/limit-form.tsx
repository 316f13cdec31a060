import { Button, Group, Stack, Text, Title } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { IconPlus } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link, useBlocker } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { CallError } from '../api/call';
import { createLimit, type Limit, replaceLimit, type VersionedLimit } from '../api/limits';
import { Confirm } from '../frame/confirm';
import { Trouble } from '../frame/trouble';
import { visible } from '../show/foreign';
import { Conflict } from './conflict';
import { DeleteLimit } from './delete-limit';
import {
  type Draft,
  type DraftErrors,
  draftErrors,
  draftOf,
  fieldErrors,
  inputOf,
  isSameDraft,
  isSameLimit,
  merged,
} from './draft';
import { LimitFields } from './limit-fields';
import { Meaning, usePreview } from './meaning';
import { WhatIf } from './what-if';

/** What is edited: a limit at a version, or what there is none of yet. */
export interface Edited {
  /** The version that the editing began with; null for a new limit. */
  began: VersionedLimit | null;
  /** What it is now; null once it is deleted, undefined while that is not known. */
  now: VersionedLimit | null | undefined;
  /** Asks what it is now. */
  look: () => Promise<unknown>;
  /** Goes on from another version. */
  beginAgain: (version: VersionedLimit) => void;
}

/**
 * Writes a limit: says what it would mean while it is typed, and never overwrites what somebody else has written meanwhile
 * without saying so. What was typed stays until it is saved, or somebody says that it may go.
 */
export function LimitForm({
  edited,
  start,
  limits,
  onClose,
}: {
  edited: Edited;
  /** What a new limit begins with. */
  start: Draft;
  limits: readonly Limit[];
  onClose: () => void;
}) {
  const { began, now, look, beginAgain } = edited;
  const queries = useQueryClient();
  const isNew = began === null;
  const form = useForm<Draft>({
    mode: 'controlled',
    initialValues: began === null ? start : draftOf(began.limit),
    validate: draftErrors,
    onValuesChange(values, previous) {
      // They may be right together, or one of them.
      if (values.where !== previous.where) form.clearFieldError('where');
      if (values.from !== previous.from) form.clearFieldError('until');
    },
  });
  const draft = form.values;
  const basis = began === null ? start : draftOf(began.limit);
  const isDirty = !isSameDraft(draft, basis);
  /** Whether it is saved or deleted, and there is nothing to lose. */
  const isDone = useRef(false);
  const [isDeleting, setDeleting] = useState(false);
  const preview = usePreview(draft);
  const refusal = preview.query.error;
  const live = refusal instanceof CallError && refusal.status === 400 ? fieldErrors(refusal.errors) : {};
  const errors = { ...live, ...(form.errors as DraftErrors) };

  const isElsewhere =
    began !== null &&
    (now === null || (now !== undefined && now.etag !== began.etag && !isSameLimit(now.limit, began.limit)));
  const hasConflict = isElsewhere && !isDone.current && (isDirty || now === null);
  const conflict = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (hasConflict) conflict.current?.scrollIntoView({ block: 'start' });
  }, [hasConflict]);
  // Who has written nothing goes on from what it is now
  useEffect(() => {
    if (began === null || now === null || now === undefined || now.etag === began.etag) return;
    if (hasConflict) return;
    beginAgain(now);
    if (!isDirty) form.setValues(draftOf(now.limit));
  }, [now, began, hasConflict]);

  const saving = useMutation({
    mutationFn: (over: VersionedLimit | null) => save(over),
    onSuccess(limit) {
      isDone.current = true;
      notifications.show({
        color: 'teal',
        message: `${limit.id} is ${isNew ? 'made' : 'saved'}, and in force from the next check on.`,
      });
      void queries.invalidateQueries({ queryKey: ['limits'] });
      onClose();
    },
    onError(error) {
      if (!(error instanceof CallError)) return;
      if (error.status === 412 && !isNew) void look();
      const found = error.status === 412 && isNew ? { id: 'is taken by another limit' } : fieldErrors(error.errors);
      form.setErrors(found);
      focusFirst(found);
    },
  });

  /** @param over the version that it replaces; null when there must be none */
  async function save(over: VersionedLimit | null): Promise<Limit> {
    const input = inputOf(form.getValues());
    try {
      return over === null ? await createLimit(input) : (await replaceLimit(over.limit.id, input, over.etag)).limit;
    } catch (error) {
      const current = error instanceof CallError ? (error.body.current as Limit | null | undefined) : null;
      // An answer was lost on its way: it is saved.
      if (current && current.source !== 'file' && isSameLimit(current, { ...input, id: current.id })) return current;
      throw error;
    }
  }

  function focusFirst(found: DraftErrors): void {
    const [path] = Object.keys(found);
    if (path === undefined) return;
    const node = document.querySelector<HTMLElement>(`.limit-form [data-path="${path}"]`);
    node?.focus();
    node?.scrollIntoView({ block: 'center' });
  }

  const leaving = useBlocker({
    shouldBlockFn: ({ current, next }) => {
      if (isDone.current || !isDirty) return false;
      const [here, there] = [current, next].map(({ pathname, search }) => {
        const { edit, add, override } = search as Record<string, string | undefined>;
        return JSON.stringify([pathname, edit, add, override]);
      });
      return here !== there;
    },
    enableBeforeUnload: () => isDirty && !isDone.current,
    withResolver: true,
  });

  const { error } = saving;
  // It is said beside a field, or above with what it is now.
  const isTold =
    error instanceof CallError &&
    (hasConflict || (error.status === 412 && isNew) || (error.status === 400 && areAllFields(error)));
  const conflicting = error instanceof CallError ? error.body.conflicts_with : undefined;
  return (
    <>
      <form
        className="limit-form"
        noValidate
        onSubmit={form.onSubmit(
          () => saving.mutate(began),
          (found) => focusFirst(found as DraftErrors),
        )}
      >
        {hasConflict && began !== null && (
          <div ref={conflict} className="limit-conflict" tabIndex={-1}>
            <Conflict
              began={began.limit}
              now={now?.limit ?? null}
              written={draft}
              isSaving={saving.isPending}
              onOverwrite={() => {
                const { hasErrors, errors: found } = form.validate() as { hasErrors: boolean; errors: DraftErrors };
                if (hasErrors) focusFirst(found);
                else saving.mutate(now ?? null);
              }}
              onMerge={() => {
                if (!now) return;
                form.setValues(merged(draftOf(began.limit), draftOf(now.limit), draft));
                beginAgain(now);
                saving.reset();
              }}
              onDrop={() => {
                saving.reset();
                if (now) {
                  form.setValues(draftOf(now.limit));
                  form.clearErrors();
                  beginAgain(now);
                } else {
                  isDone.current = true;
                  onClose();
                }
              }}
            />
          </div>
        )}
        <div className="limit-columns">
          <div className="limit-column">
            <LimitFields form={form} errors={errors} isNew={isNew} limits={limits} />
          </div>
          <div className="limit-column limit-column-side">
            <section className="limit-card" aria-label="What it means">
              <Title order={3} size="h6" mb={6}>
                What it means
              </Title>
              <Meaning
                preview={preview}
                period={draft.period}
                isOfAccounts={draft.per.includes('account') && draft.where.account === ''}
              />
            </section>
            <WhatIf
              input={Object.keys(draftErrors(draft)).length > 0 ? null : inputOf(draft)}
              id={began?.limit.id ?? null}
            />
            {began !== null && began.limit.where === null && (
              <Link to="/limits" search={keepingFind({ override: began.limit.id })} className="limit-link">
                <Button
                  component="span"
                  variant="subtle"
                  size="compact-sm"
                  leftSection={<IconPlus size={14} aria-hidden />}
                >
                  Override it for some messages
                </Button>
              </Link>
            )}
          </div>
        </div>
        <div className="limit-foot">
          {preview.query.data !== undefined && !preview.isUnfinished && (
            // Where it is said is out of view, or may be
            <Text
              component="div"
              aria-hidden
              className={`limit-foot-words foreign${preview.isBehind ? ' limit-behind' : ''}`}
            >
              {visible(preview.query.data.description)}
            </Text>
          )}
          {!isTold && <Trouble error={withoutFields(error)} />}
          {typeof conflicting === 'string' && (
            <Text size="sm">
              <Link to="/limits" search={{ edit: conflicting }} className="limit-inline">
                Look at {conflicting}
              </Link>
            </Text>
          )}
          <Group justify="space-between">
            {began === null ? (
              <span />
            ) : (
              <Button variant="light" color="red" onClick={() => setDeleting(true)} disabled={now === null}>
                Delete
              </Button>
            )}
            <Group gap="xs">
              <Button variant="default" onClick={onClose} disabled={saving.isPending}>
                Cancel
              </Button>
              <Button type="submit" loading={saving.isPending} disabled={hasConflict || (!isNew && !isDirty)}>
                {isNew ? 'Create' : 'Save'}
              </Button>
            </Group>
          </Group>
        </div>
      </form>
      {began !== null && (
        <DeleteLimit
          opened={isDeleting}
          version={began}
          limits={limits}
          onDeleted={() => {
            isDone.current = true;
            notifications.show({ color: 'teal', message: `${began.limit.id} is deleted.` });
            void queries.invalidateQueries({ queryKey: ['limits'] });
            onClose();
          }}
          onRefused={() => void look()}
          onClose={() => setDeleting(false)}
        />
      )}
      <Confirm
        opened={leaving.status === 'blocked'}
        title="Leave without saving?"
        confirmLabel="Leave it"
        danger
        onConfirm={async () => leaving.proceed?.()}
        onClose={() => leaving.reset?.()}
      >
        <Stack gap="xs">
          <Text size="sm">What you have written of this limit is not saved yet.</Text>
        </Stack>
      </Confirm>
    </>
  );
}

function keepingFind(opened: { override: string }) {
  return ({ find }: { find?: string }) => (find === undefined ? opened : { ...opened, find });
}

/** What is wrong apart from what is said beside fields. */
function withoutFields(error: unknown): unknown {
  if (!(error instanceof CallError) || !areAllFields(error)) return error;
  return new CallError(error.status, error.title, error.message);
}

/** Whether everything that is wrong has a field to be said beside. */
function areAllFields({ errors }: CallError): boolean {
  return errors.length > 0 && errors.every((one) => Object.keys(fieldErrors([one])).length > 0);
}

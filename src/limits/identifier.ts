import { z } from 'zod';

/** The most characters (Unicode code points) that the id of a user, account, topic, channel or message may have. */
export const IDENTIFIER_MAX_CHARACTERS = 256;

/**
 * Says what is wrong with an id of a user, account, topic, channel or message, or null when nothing is.
 * A lone surrogate is refused because two different ids with one would become the same bytes in Redis.
 */
export function identifierProblem(value: string): string | null {
  if (value.length === 0) return 'must not be empty';
  // Only a string longer in UTF-16 units can be too long in characters: the count is skipped for nearly all ids.
  if (value.length > IDENTIFIER_MAX_CHARACTERS && [...value].length > IDENTIFIER_MAX_CHARACTERS) {
    return `must be at most ${IDENTIFIER_MAX_CHARACTERS} characters`;
  }
  if (/\p{Cc}/u.test(value)) return 'must not contain control characters';
  if (!value.isWellFormed()) return 'must be well-formed Unicode';
  return null;
}

/** The id of a user, account, topic, channel or message. */
export const identifierSchema = z
  .string()
  .superRefine((value, context) => {
    const problem = identifierProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  // The same as \p{Cc}, in what every validator of a document can read.
  .meta({ minLength: 1, maxLength: IDENTIFIER_MAX_CHARACTERS, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' });

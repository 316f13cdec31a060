import type { Reply } from './contract';

/** The media type of RFC 9457: https://www.rfc-editor.org/rfc/rfc9457 */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** One thing that is wrong with a request. */
export interface InputError {
  /** Where it is: `messages.3.cost` in a body, a parameter's name in a path or query, '' for the body as a whole. */
  path: string;
  /** What is expected there, in words for the caller. */
  message: string;
}

/** What a problem may say beyond its title and detail. */
export interface ProblemMembers {
  /** A URI of ours for a problem that programs tell from others of its status. Without it: about:blank. */
  type?: string;
  errors?: readonly InputError[];
  [member: string]: unknown;
}

/**
 * A refusal, as an answer in problem+json. Every word in it is for the caller.
 * @param title what kind of problem it is, the same words each time
 * @param detail what is wrong with this request, and what to do about it
 * @param extra further members of the body
 */
export function problem(status: number, title: string, detail?: string, extra?: ProblemMembers): Reply {
  const { type = 'about:blank', ...members } = extra ?? {};
  return {
    status,
    headers: { 'content-type': PROBLEM_CONTENT_TYPE },
    body: { type, title, status, ...(detail === undefined ? {} : { detail }), ...members },
  };
}

/** A 400 for input that is not as the contract says. */
export function invalidInput(errors: readonly InputError[]): Reply {
  const [first] = errors;
  const detail =
    errors.length === 1 && first !== undefined
      ? `${first.path === '' ? 'The body' : first.path} ${first.message}.`
      : `${errors.length} things are wrong with the request.`;
  return problem(400, 'Invalid request', detail, { errors });
}

/** The same answer with more headers. */
export function withHeaders(reply: Reply, headers: Record<string, string>): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } };
}

/**
 * Tells Courier's SDK not to try again what is answered 409, which it would twice, with a second between: what was
 * refused stays so.
 */
export const DO_NOT_RETRY = { 'x-should-retry': 'false' };
export const DO_NOT_RETRY_WORDS = { 'X-Should-Retry': "false: what was refused stays so. Courier's SDK heeds it." };

import { isGsm7 } from './gsm7';
import { createHttpCaller, type HttpAnswer, keptBody, retryAfterMs } from './http-caller';
import type { DeliveryOutcome, JsonObject, Provider, ProviderCode } from './provider';
import { type VonageCode, vonageCode, vonageCodeOfPart } from './vonage-codes';

/** Where Vonage's SMS API is below its address. */
const SEND_PATH = '/sms/json';
/** As much of Vonage's own words is repeated, in characters. */
const ERROR_TEXT_CHARACTERS = 200;
/** The longest id of a part that is kept, in characters: they have 16. */
const PART_ID_CHARACTERS = 100;
/** As much of a number that is none is repeated, in characters. */
const NUMBER_CHARACTERS = 30;

/**
 * Statuses of HTTP that may be about this one message, where Vonage has not said so in its own form. Any other status of
 * 3xx and 4xx is about the key, the account or the address: no message would go.
 */
const ABOUT_THE_MESSAGE = new Set([400, 413, 414, 422, 431]);

/**
 * Sends messages as SMS, by Vonage's SMS API (https://developer.vonage.com/en/api/sms).
 *
 * Vonage answers 200 also when it refuses: what it says is in the `status` of each part, and a long text is several
 * parts. A message is sent again only when no part of it was taken, or when nobody can know.
 *
 * @param url of http or https, of the API: `/sms/json` is added to it
 * @param from the number or name that messages come from
 * @param timeoutMs how long one attempt may take, from looking up the name to the end of the body
 * @param phoneOf the number in the profile of a user, in an account where the message is for one, or null; asked when the
 *   recipient names none
 * @param nowMs the time of day, in milliseconds since 1970
 * @param ca as of `createHttpCaller`
 */
export function createVonageProvider(deps: {
  url: URL;
  apiKey: string;
  apiSecret: string;
  from: string;
  timeoutMs: number;
  phoneOf: (userId: string, accountId: string | null) => Promise<string | null>;
  nowMs: () => number;
  ca?: string;
}): Provider {
  const { url, apiKey, apiSecret, from, timeoutMs, phoneOf, nowMs, ca } = deps;
  const caller = createHttpCaller({ url, timeoutMs, nowMs, ca });
  const path = pathOf(url);

  return {
    name: 'vonage',
    async deliver(delivery, signal) {
      const text = textOf(delivery.content);
      if (text === null) return failed('The message has no text. Give it one, in content.body.');
      const given = delivery.to.phone_number || (await phoneOf(delivery.userId, delivery.accountId));
      if (!given) {
        return failed(
          `There is no number to send to. Give the recipient a phone_number, or set it in the profile of ${delivery.userId}.`,
        );
      }
      const to = digitsOf(given);
      if (to === null) {
        const shown = JSON.stringify(given).slice(0, NUMBER_CHARACTERS).toWellFormed();
        return failed(`${shown} is not a phone number with its country code, such as +447700900000.`);
      }
      const fields = new URLSearchParams({
        ...{ api_key: apiKey, api_secret: apiSecret, from: from.replace(/^\+(?=\d+$)/, ''), to, text },
        ...(isGsm7(text) ? {} : { type: 'unicode' }),
        'client-ref': delivery.messageId,
      });
      const called = await caller.call(
        {
          path,
          method: 'POST',
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            accept: 'application/json',
            'user-agent': 'sendgate',
          },
          body: `${fields}`,
        },
        signal,
      );
      if ('answer' in called) return outcomeOf(url, called.answer);
      return { kind: 'retry', error: called.words, response: null, retryAfterMs: null };
    },
    close: caller.close,
  };
}

function failed(error: string): DeliveryOutcome {
  return { kind: 'failed', error, response: null };
}

/** The path to send to. An address that has it already is not given it twice. */
function pathOf({ pathname, search }: URL): string {
  const base = pathname.replace(/\/+$/, '');
  return `${base.endsWith(SEND_PATH) ? base : base + SEND_PATH}${search}`;
}

/**
 * What a message says as an SMS: its content, if that is a text, else the body of it, else its title. There are no
 * templates here.
 */
function textOf(content: unknown): string | null {
  if (typeof content === 'string') return content.trim() === '' ? null : content;
  const { body, title } = (content ?? {}) as JsonObject;
  const text = [body, title].find((part) => typeof part === 'string' && part.trim() !== '');
  return (text as string | undefined) ?? null;
}

/**
 * A number as Vonage takes it: the country code and on, digits only. Null when it cannot be one: E.164 has 15 at most. What
 * numbers there are below that differs between countries and changes, so it is for Vonage to say.
 */
function digitsOf(number: unknown): string | null {
  if (typeof number !== 'string') return null;
  const digits = number.replace(/[\s().\-/]/g, '').replace(/^(\+|00)(?=\d)/, '');
  return /^\d{1,15}$/.test(digits) ? digits : null;
}

/** One part of a message, as Vonage answers for it. */
interface Part {
  status: string;
  id: string | null;
  errorText: string | null;
}

/** The parts that an answer is about; null when it is not one of Vonage's SMS API. */
function partsOf(body: string): Part[] | null {
  let read: unknown;
  try {
    read = JSON.parse(body);
  } catch {
    return null; // It is HTML, or was cut off.
  }
  const { messages } = (typeof read === 'object' && read !== null ? read : {}) as JsonObject;
  if (!Array.isArray(messages) || messages.length === 0) return null;
  const parts: Part[] = [];
  for (const message of messages) {
    const { status, 'message-id': id, 'error-text': errorText } = (message ?? {}) as JsonObject;
    if ((typeof status !== 'string' && typeof status !== 'number') || !/^\d{1,4}$/.test(`${status}`)) return null;
    parts.push({
      status: `${status}`,
      id: typeof id === 'string' && id !== '' && id.length <= PART_ID_CHARACTERS ? id : null,
      errorText: typeof errorText === 'string' && errorText !== '' ? errorText : null,
    });
  }
  return parts;
}

/** Of several refusals the one that decides: of the account before of this message, and both before what may pass. */
const WEIGHT = { account: 0, recipient: 1, request: 1, retry: 2 };

function outcomeOf(url: URL, answer: HttpAnswer): DeliveryOutcome {
  const response = { status: answer.status, body: keptBody(answer.body) };
  const parts = partsOf(answer.body);
  if (parts === null) return outcomeByStatus(url, answer);
  const accepted = parts.filter(({ status }) => status === '0');
  const ids = accepted.flatMap(({ id }) => id ?? []);
  const reference = ids.length === 0 ? null : ids.join(',');
  if (accepted.length === parts.length) return { kind: 'sent', reference, response, receipts: ids };

  const codeOf = accepted.length === 0 ? vonageCode : vonageCodeOfPart;
  const [refused] = parts
    .filter(({ status }) => status !== '0')
    .map((part) => ({ part, code: codeOf(part.status) }))
    .sort((one, other) => WEIGHT[one.code.kind] - WEIGHT[other.code.kind]);
  const code = refused!.code;
  const error = wordsOf(code, refused!.part.errorText);
  if (accepted.length > 0) {
    // To send it again would send those parts twice. Trouble of the account is that of every other message all the same.
    const words = `${accepted.length} of ${parts.length} parts were accepted, so it is not sent again: ${error}`;
    return {
      ...{ kind: 'failed', error: words, response, code: shown(code), partly: { reference, receipts: ids } },
      ...(code.kind === 'account' ? { stopped: { error, code: shown(code) } } : {}),
    };
  }
  switch (code.kind) {
    case 'retry':
      return { kind: 'retry', error, response, retryAfterMs: retryAfterMs(answer), code: shown(code) };
    case 'account':
      return { kind: 'stopped', error, response, code: shown(code) };
    default:
      return { kind: 'failed', error, response, code: shown(code) };
  }
}

function wordsOf({ code, name, meaning, whatToDo }: VonageCode, errorText: string | null): string {
  const said = errorText === null ? '' : ` Vonage says: ${shortened(errorText)}.`;
  return `Vonage refused it with ${code}, ${name}: ${meaning}${said} ${whatToDo}`;
}

function shortened(text: string): string {
  return text.slice(0, ERROR_TEXT_CHARACTERS).toWellFormed().replace(/\.$/, '');
}

function shown({ code, meaning, whatToDo }: ProviderCode): ProviderCode {
  return { code, meaning, whatToDo };
}

/** What is to be done with a message about which Vonage has not said anything in its own form. */
function outcomeByStatus({ host }: URL, answer: HttpAnswer): DeliveryOutcome {
  const { status } = answer;
  const response = { status, body: keptBody(answer.body) };
  const error = `${host} answered ${status}`;
  if (status >= 200 && status < 300) {
    // It may be a page of a proxy, or Vonage's answer cut off: whether the message was taken, nobody can know.
    const words = `${error} with something that is not an answer of Vonage's SMS API.`;
    return { kind: 'retry', error: words, response, retryAfterMs: null };
  }
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    return { kind: 'retry', error, response, retryAfterMs: retryAfterMs(answer) };
  }
  if (ABOUT_THE_MESSAGE.has(status)) return { kind: 'failed', error, response };
  const code = { code: `HTTP ${status}`, ...ofHttp(status) };
  return { kind: 'stopped', error: `${error}: ${code.meaning} ${code.whatToDo}`, response, code };
}

function ofHttp(status: number): Omit<ProviderCode, 'code'> {
  if (status === 401) {
    return {
      meaning: 'The API key or its secret is wrong.',
      whatToDo: 'Compare SENDGATE_VONAGE_API_KEY and SENDGATE_VONAGE_API_SECRET with the dashboard of Vonage.',
    };
  }
  if (status === 402 || status === 403) {
    return {
      meaning: 'The account may not send.',
      whatToDo: 'Look at the account in the dashboard of Vonage: its credit, and from which addresses it may be used.',
    };
  }
  return {
    meaning: "What answers there is not Vonage's SMS API.",
    whatToDo: 'Look at SENDGATE_VONAGE_URL, and at what is between here and there.',
  };
}

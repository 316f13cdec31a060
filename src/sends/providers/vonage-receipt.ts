import type { ProviderReceipt } from './provider';
import { VONAGE_RECEIPT_CODES } from './vonage-codes';

/** What a part of a message has come to, by the `status` of a receipt; by any other, nobody knows. */
const STAGES: Readonly<Record<string, ProviderReceipt['stage']>> = {
  accepted: 'accepted',
  submitted: 'accepted',
  buffered: 'buffered',
  delivered: 'delivered',
  expired: 'failed',
  failed: 'failed',
  rejected: 'failed',
  undelivered: 'failed',
  deleted: 'failed',
};

const FAILED_WORDS: Readonly<Record<string, string>> = {
  expired: 'It could not be delivered for as long as the network tried.',
  rejected: "The recipient's network refused it.",
};

/** The longest status that is kept, in characters. */
const STATUS_CHARACTERS = 30;

/**
 * Reads a delivery receipt (https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts).
 * @returns what it says, or the name of the parameter that is missing or too long
 */
export function readVonageReceipt(
  params: Readonly<Record<string, string>>,
): { receipt: ProviderReceipt } | { wrong: 'messageId' | 'status' } {
  const { messageId = '', status = '', 'err-code': errorCode = '' } = params;
  if (!/^[\x21-\x7e]{1,100}$/.test(messageId)) return { wrong: 'messageId' };
  const word = status.toLowerCase();
  if (!/^[a-z_-]+$/.test(word) || word.length > STATUS_CHARACTERS) return { wrong: 'status' };
  const stage = Object.hasOwn(STAGES, word) ? STAGES[word]! : 'unknown';
  const code = /^\d{1,4}$/.test(errorCode) ? errorCode : null;
  const detail = { provider: 'vonage', reference: messageId, receipt: word, error_code: code };
  const common = { provider: 'vonage', reference: messageId, detail };
  if (stage !== 'failed') return { receipt: { ...common, stage, error: null, code: null } };
  const known = VONAGE_RECEIPT_CODES.get(code ?? '');
  const { name, ...shown } = known ?? {
    code: code ?? word,
    name: 'unknown',
    meaning: FAILED_WORDS[word] ?? 'It was not delivered.',
    whatToDo: 'Look the code up in the documentation of Vonage, or send it again later.',
  };
  const error = `Vonage says that it was ${word}, with ${shown.code}, ${name}: ${shown.meaning} ${shown.whatToDo}`;
  return { receipt: { ...common, stage, error, code: shown } };
}

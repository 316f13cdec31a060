/** The default alphabet and its extension (3GPP TS 23.038, sections 6.2.1 and 6.2.1.1), without the escape itself. */
const GSM7 = new Set(
  [
    '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?',
    '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà',
    '\f^{}\\[~]|€',
  ].join(''),
);

/** Whether an SMS can say a text in the alphabet of GSM. Any other is sent as Unicode, with room for less than half as much. */
export function isGsm7(text: string): boolean {
  for (const character of text) if (!GSM7.has(character)) return false;
  return true;
}

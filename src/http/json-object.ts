import { z } from 'zod';
import { type JsonObject, jsonObjectProblem } from '../limits/json-object';

/**
 * Any JSON object, in a request. It is handed on as it was read rather than copied field by field, so that a field
 * called `__proto__` stays a field like any other.
 */
export const jsonObjectSchema = z
  .unknown()
  .superRefine((value, context) => {
    const problem = jsonObjectProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .transform((value) => value as JsonObject)
  .meta({ type: 'object', additionalProperties: true });

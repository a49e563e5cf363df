/** What boxes cost, as the doors see it. All amounts are net. */
import * as z from 'zod'
import { Amount } from './price.ts'

export const BoxCost = z.object({
  currency: z.string(),
  hourly: Amount.describe('of the machine and its address'),
  soFar: Amount.describe('each hour that has begun is a whole one; what was tried and not made is not in it'),
  billed: z.boolean().describe('whether it costs something now'),
})
export type BoxCost = z.infer<typeof BoxCost>

/** In the currency of the cloud, net; null: no limit. */
export const BudgetLimits = z.strictObject({
  daily: Amount.nullable().describe('all boxes together, on one day (UTC)'),
  perBox: Amount.nullable().describe('one box, in all its life'),
})
export type BudgetLimits = z.infer<typeof BudgetLimits>

export const Budget = BudgetLimits.extend({
  planned: Amount.describe('what today costs, if each box lives to the end of its lease or to midnight'),
  left: Amount.nullable().describe('of the limit of a day; null: there is none'),
})
export type Budget = z.infer<typeof Budget>

export const CostReport = z.object({
  budget: Budget.nullable().describe('null: it is not for this caller'),
  currencies: z.array(
    z.object({
      currency: z.string(),
      hourly: Amount.describe('of all that is billed now'),
      today: Amount.describe('since midnight, UTC'),
      total: Amount,
      boxes: z.array(
        BoxCost.extend({
          id: z.string(),
          name: z.string(),
          owner: z.string().nullable(),
          exists: z.boolean().describe('false: it was destroyed'),
        }),
      ),
      days: z.array(z.object({ day: z.iso.date(), amount: Amount })).describe('in UTC, newest first, 31 at most'),
    }),
  ),
})
export type CostReport = z.infer<typeof CostReport>

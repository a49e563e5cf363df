import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type CreateOptions, GibilError } from '@gibil/sdk'
import { oneOf } from './parse.ts'

export interface CloudFlags {
  readonly serverType?: string
  readonly location?: string
  readonly arch?: string
  readonly maxHourly?: string
  readonly cloudInit?: string
}

const maxCloudInitBytes = 32 * 1024

/** What is asked of a cloud, and of cloud-init. Whether there is one is for the daemon to say. */
export async function cloudOptions(
  { serverType, location, arch, maxHourly, cloudInit }: CloudFlags,
  { cwd }: { readonly cwd: string },
): Promise<Pick<CreateOptions, 'cloud' | 'cloudInit'>> {
  const cloud = {
    ...(serverType === undefined ? {} : { serverType }),
    ...(location === undefined ? {} : { location }),
    ...(arch === undefined ? {} : { arch: oneOf(arch, ['x86', 'arm'], 'an architecture') }),
    ...(maxHourly === undefined ? {} : { maxHourly: amountOfMoney(maxHourly) }),
  }
  return {
    ...(Object.keys(cloud).length === 0 ? {} : { cloud }),
    ...(cloudInit === undefined ? {} : { cloudInit: await userData(resolve(cwd, cloudInit)) }),
  }
}

/** Throws `invalid_request`. */
export function amountOfMoney(text: string): string {
  if (/^\d{1,12}(\.\d{1,16})?$/.test(text)) return text
  throw new GibilError('invalid_request', `"${text}" is not an amount of money.`, { hint: 'Write it as 0.05.' })
}

async function userData(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new GibilError('invalid_request', `The file ${path} cannot be read.`, { hint: 'Check the path.', cause })
  })
  if (Buffer.byteLength(text) <= maxCloudInitBytes) return text
  throw new GibilError('invalid_request', `${path} is larger than the 32 KiB that user data may have.`, {
    hint: 'Let it fetch what is large, or send files by `gibil cp` once the box runs.',
  })
}

import { createHash } from 'node:crypto'

/** A part of user data, by the kinds of cloud-init. */
export interface Part {
  readonly type: 'text/cloud-config' | 'text/x-shellscript' | 'text/cloud-boothook'
  /** Scripts are run in the order of these. */
  readonly filename: string
  readonly text: string
}

const ascii = /^[\t\n\r -~]*$/

/**
 * One message of many parts. A part that is not ASCII goes as base64, since cloud-init reads the whole as text before it takes it apart. The same
 * parts give the same text.
 */
export function renderMime(parts: readonly Part[]): string {
  const boundary = `gibil-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}`
  const rendered = parts.map(({ type, filename, text }) => {
    const plain = ascii.test(text)
    const body = plain
      ? text
      : (
          Buffer.from(text)
            .toString('base64')
            .match(/.{1,76}/g) ?? []
        ).join('\n')
    return [
      `--${boundary}`,
      `Content-Type: ${type}; charset="utf-8"`,
      `Content-Transfer-Encoding: ${plain ? '7bit' : 'base64'}`,
      `Content-Disposition: attachment; filename="${filename}"`,
      '',
      body,
    ].join('\n')
  })
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    'MIME-Version: 1.0',
    '',
    ...rendered,
    `--${boundary}--`,
    '',
  ].join('\n')
}

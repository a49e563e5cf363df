import { errorTable, type GibilError } from '@gibil/contract'

export interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A visitor of a port is told of a box that does not run as of a service that is not there now. */
const statusOf = ({ code }: GibilError): number => (code === 'wrong_state' ? 503 : errorTable[code].status)
const soon = new Set(['busy', 'interrupted'])

/** An error for whoever asks: a page for browsers, JSON for programs that take it, text for all others. */
export function errorPage(error: GibilError, accept: string | undefined, facts: { readonly comesSoon: boolean }): Page {
  const status = statusOf(error)
  const retry = facts.comesSoon || soon.has(error.code)
  const headers = {
    // Nothing of an error may be kept, nor the address told, which a secret may have been in.
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    vary: 'accept',
    ...(retry ? { 'retry-after': '2' } : {}),
    ...(status === 401 ? { 'www-authenticate': 'Bearer realm="gibil port"' } : {}),
  }
  if (accept?.includes('text/html')) {
    return {
      status,
      headers: { ...headers, 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy },
      body: html(status, error, retry),
    }
  }
  return accept?.includes('json')
    ? { status, headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(error.toBody()) }
    : {
        status,
        headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' },
        body: `${error.message}\n  next: ${error.hint}\n`,
      }
}

const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

const titles: Readonly<Record<number, string>> = {
  400: 'This request cannot be passed on',
  401: 'This port is private',
  404: 'Nothing is here',
  502: 'The box does not answer',
  503: 'The box is not there now',
}

const html = (status: number, error: GibilError, retry: boolean): string => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">${retry ? '\n<meta http-equiv="refresh" content="2">' : ''}
<title>${escaped(titles[status] ?? 'Gibil')}</title>
<style>body{font:1rem/1.5 system-ui;margin:15vh auto;max-width:38rem;padding:0 1rem}small{color:#777}</style>
<h1>${escaped(titles[status] ?? 'This did not work')}</h1>
<p>${escaped(error.message)}</p>
<p><b>Next:</b> ${escaped(error.hint)}</p>
<small>Gibil, ${status} ${escaped(error.code)}</small>
</html>
`

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (char) => entities[char] ?? char)

import { chromium, type Locator, type Page } from 'playwright-core'

/** Chromium without what it does by itself on a network. */
const quiet = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--no-first-run'],
  ...['--disable-component-update', '--disable-sync'],
]

/** VS Code as a person sees and uses it. */
export interface Workbench extends AsyncDisposable {
  readonly page: Page
  /** Lines of a view that are seen. */
  rows(view: string): Promise<string[]>
  row(text: string | RegExp): Locator
  /** Runs a command by its title, as from the palette. */
  command(title: string): Promise<void>
  /** Waits for a list with this item, and chooses it. */
  choose(label: string): Promise<void>
  /** Waits for this question, and answers it. */
  answer(question: string, text: string): Promise<void>
  /** The notification that says so. */
  notification(text: string | RegExp): Locator
  /** What the terminal that is in front shows. */
  terminal(): Promise<string>
}

export async function openWorkbench(url: string): Promise<Workbench> {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: quiet })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  page.setDefaultTimeout(60_000)
  await page.goto(url)
  await page.locator('.monaco-workbench').waitFor()
  const input = page.locator('.quick-input-widget:visible')
  const items = input.locator('.monaco-list-row')

  const workbench: Workbench = {
    page,
    rows: async (view) =>
      page.locator(`.pane:has(.pane-header[aria-label^="${view}"]) .monaco-list-row`).allInnerTexts(),
    row: (text) => page.locator('.pane-body .monaco-list-row').filter({ hasText: text }).first(),
    async command(title) {
      // One that is pressed while another list goes away is lost.
      for (let attempt = 0; ; attempt += 1) {
        await page.keyboard.press('F1')
        const typed = input.locator('input').first().fill(`>${title}`, { timeout: 3000 })
        const done = await typed.then(
          () => true,
          (error: unknown) => {
            if (attempt === 10) throw error
            return false
          },
        )
        if (done) break
      }
      await items.filter({ hasText: title }).and(page.locator('.focused')).waitFor()
      await page.keyboard.press('Enter')
    },
    // By keys, since what is told of an item under the pointer lies over others.
    async choose(label) {
      await items.filter({ hasText: label }).first().waitFor()
      await input.locator('input').first().fill(label)
      await items.filter({ hasText: label }).and(page.locator('.focused')).waitFor()
      await page.keyboard.press('Enter')
    },
    async answer(question, text) {
      await input
        .filter({ hasText: question })
        .or(input.filter({ has: page.getByPlaceholder(question) }))
        .waitFor()
      await input.locator('input').first().fill(text)
      await page.keyboard.press('Enter')
    },
    notification: (text) => page.locator('.notification-list-item').filter({ hasText: text }).first(),
    terminal: async () => {
      const lines = await page.locator('.terminal-wrapper.active .xterm-rows > div').allInnerTexts()
      return lines.join('\n').replaceAll('\u00a0', ' ')
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
  return workbench
}

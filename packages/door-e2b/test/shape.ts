/** What sandboxes of these tests are: containers, or what GIBIL_E2B_SHAPE says. */
export const shape = process.env['GIBIL_E2B_SHAPE'] ?? 'container'

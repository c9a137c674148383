/** How an endpoint stands: the worst that anybody says of it. */

/** From good to worst: it did not accept a connection lately, it kept failing, health checks say so. */
export const STANDINGS = ['good', 'down', 'ejected', 'unhealthy'] as const;
export type Standing = (typeof STANDINGS)[number];

// A file of its own, because the page's policy allows no script inside the page.
/* global SwaggerUIBundle */
SwaggerUIBundle({
  url: '../openapi.json',
  dom_id: '#reference',
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  // Else it would ask a service on the internet what it thinks of the document.
  validatorUrl: null,
});

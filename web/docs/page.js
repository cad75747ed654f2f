// No outside host is asked for anything: the validator badge is off and the
// description comes from here.
window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: true,
  supportedSubmitMethods: ['get', 'put', 'post', 'delete', 'patch'],
});

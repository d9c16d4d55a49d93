// Hands the program to the app: the package of this very offer, by the address that Azure gives its files.

@description('Required. The app.')
param appName string

@description('Required. Where the package lies, with the token that lets it be read.')
@secure()
param packageUri string

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName
}

resource onedeploy 'Microsoft.Web/sites/extensions@2024-11-01' = {
  parent: app
  name: 'onedeploy'
  // The type knows no properties; the service does.
  #disable-next-line BCP187
  properties: { packageUri: packageUri, remoteBuild: false }
}
